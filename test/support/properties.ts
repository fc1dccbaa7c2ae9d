/**
 * How properties are tried: with the same seed each time, so that a run of the tests says the same twice. Others are tried
 * with `PROPERTY_SEED=2 npm test`, and with each failure its own seed is told.
 */

/** `runs` cases, of a size that grows up to `size`. */
export const tried = (runs: number, size?: number) => ({
  arbitrary: { runs, seed: process.env["PROPERTY_SEED"] ?? 1, ...(size === undefined ? {} : { size }) }
})
