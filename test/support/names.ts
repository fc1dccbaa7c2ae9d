/**
 * Names of streams that no other test has, and offsets as the server writes them.
 */
let names = 0

/** A name that no other test of this process has. Names sort as they were made: files of tests share the count. */
export const freshName = (prefix = "stream-"): string => `${prefix}${(++names).toString().padStart(6, "0")}`

export const offsetOf = (number: number): string => number.toString().padStart(16, "0")
