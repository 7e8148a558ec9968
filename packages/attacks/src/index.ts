export { type Attack, type AttackLoss, type AttackNeeds, type AttackOptions, sampleRng } from "./attack.js";
export type { AttackUnit, NamedAttack } from "./attackUnit.js";
export { type AttackResult, type EvaluateAttackOptions, evaluateAttack } from "./evaluateAttack.js";
export {
  evaluateRobustness,
  type RobustnessOptions,
  type RobustnessResult,
  type UnitEvent,
} from "./evaluateRobustness.js";
export { type FgsmSettings, fgsm } from "./fgsm/fgsm.js";
export { type PgdSettings, pgd } from "./pgd/pgd.js";
export { type StandardAttackSettings, standardAttacks } from "./standardAttacks.js";
export { withBounds, withSurrogateGradients } from "./surrogate.js";
export {
  type CraftOptions,
  craftTransferExamples,
  type TransferExamples,
  type TransferSource,
  transferAttack,
} from "./transfer/examples.js";
export { transfer } from "./transfer/transfer.js";
export { type Accuracy, accuracyOf, wilsonInterval } from "./wilson.js";
