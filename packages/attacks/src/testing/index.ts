export { type AttackConformance, describeAttack } from "./describeAttack.js";
export {
  type LinearToy,
  linearMargin,
  linearToy,
  linearWorstMargin,
  quadraticToy,
  quantisedToy,
} from "./toyClassifiers.js";
