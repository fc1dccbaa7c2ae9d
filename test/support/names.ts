/**
 * Names of streams that no other test has, and offsets as the server writes them.
 */
let names = 0

/** A name that no other test of this process has. */
export const freshName = (prefix = "stream-"): string => `${prefix}${++names}`

export const offsetOf = (number: number): string => number.toString().padStart(16, "0")
