export { checkCertificate } from "./checkCertificate.js";
export { checkSolution } from "./checkSolution.js";
