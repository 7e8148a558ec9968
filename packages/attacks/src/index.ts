export { fromOnnx, type OnnxLike, type OnnxModel, type OnnxSession } from "./adapters/onnx.js";
export { fromTensorFlow, type TensorFlowLike, type TensorFlowModel, type TensorLike } from "./adapters/tensorflow.js";
export { type ApgdSettings, apgd } from "./apgd/apgd.js";
export { type Attack, type AttackLoss, type AttackNeeds, type AttackOptions, sampleRng } from "./attack.js";
export type { AttackUnit, NamedAttack, StoredPoints } from "./attackUnit.js";
export { type CarliniWagnerSettings, carliniWagner } from "./carlini-wagner/carliniWagner.js";
export { asFirstClass, towardsClasses } from "./criteria.js";
export { type DeepFoolSettings, deepFool } from "./deepfool/deepfool.js";
export { type AttackResult, type EvaluateAttackOptions, evaluateAttack } from "./evaluateAttack.js";
export {
  type AttackSummary,
  evaluateRobustness,
  type RobustnessOptions,
  type RobustnessResult,
  type UnitEvent,
} from "./evaluateRobustness.js";
export { type AttackGap, attackGap } from "./exact/attackGap.js";
export { type ExactWorstCase, exactAttack } from "./exact/exactAttack.js";
export { type FabSettings, fab } from "./fab/fab.js";
export { type FgsmSettings, fgsm } from "./fgsm/fgsm.js";
export { type FixedPatternSettings, fixedPattern } from "./fixed-pattern/fixedPattern.js";
export { type HopSkipJumpSettings, hopSkipJump } from "./hop-skip-jump/hopSkipJump.js";
export { type InspectOptions, inspectModel } from "./inspectModel.js";
export { type MiFgsmSettings, miFgsm } from "./mi-fgsm/miFgsm.js";
export { type MinimumNormAttack, type MinimumNormOptions, withinBudget } from "./minimumNorm.js";
export { type PgdSettings, pgd } from "./pgd/pgd.js";
export { type RandomCornersSettings, randomCorners } from "./random-corners/randomCorners.js";
export { type SquareSettings, square } from "./square/square.js";
export { type StandardAttackSettings, standardAttacks } from "./standardAttacks.js";
export {
  evaluateStandard,
  type StandardOptions,
  type StandardResult,
  type StandardSuite,
  type SuiteOptions,
  type SuitePreset,
  standardSuite,
} from "./standardSuite.js";
export { type SuccessfulPoint, type SuccessfulPointsOptions, successfulPoints } from "./successfulPoints.js";
export { withBounds, withStraightThrough, withSurrogateGradients } from "./surrogate.js";
export {
  type CraftOptions,
  craftTransferExamples,
  type TransferExamples,
  type TransferSource,
  transferAttack,
} from "./transfer/examples.js";
export { transfer } from "./transfer/transfer.js";
export { type MaskingVerdict, maskingVerdict } from "./warnings.js";
export { type Accuracy, accuracyOf, wilsonInterval } from "./wilson.js";
export { bestOf, inOrder, repeat } from "./wrappers/combine.js";
