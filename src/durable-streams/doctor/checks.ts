/**
 * What `verify` and `doctor` are made of, in one piece: no other command reads it.
 */
export { examine } from "./doctor.ts"
export { verifyData } from "./verify-data.ts"
