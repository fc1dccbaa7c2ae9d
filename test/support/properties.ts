/**
 * The settings of property tests: the same seed each time, so that each run tries the same cases. `PROPERTY_SEED=2 npm
 * test` tries others, and each failure names its seed.
 */

/** `runs` cases, of a size that grows up to `size`. */
export const tried = (runs: number, size?: number) => ({
  arbitrary: { runs, seed: process.env["PROPERTY_SEED"] ?? 1, ...(size === undefined ? {} : { size }) }
})
