import { fgsm } from "./fgsm/fgsm.js";
import { pgd } from "./pgd/pgd.js";
import { describeAttack } from "./testing/describeAttack.js";

describeAttack({ name: "fgsm margin", create: () => fgsm(), exactOnLinear: true });
describeAttack({ name: "fgsm cross-entropy", create: () => fgsm({ loss: "cross-entropy" }), exactOnLinear: true });
describeAttack({ name: "pgd margin", create: () => pgd({ stopWhenFooled: false }), exactOnLinear: true });
describeAttack({
  name: "pgd cross-entropy",
  create: () => pgd({ loss: "cross-entropy", steps: 5, restarts: 2, stopWhenFooled: false }),
  exactOnLinear: true,
});
describeAttack({ name: "pgd that stops at success", create: () => pgd({ steps: 7 }) });
describeAttack({ name: "pgd from the FGSM point only", create: () => pgd({ steps: 3, restarts: 0 }) });
