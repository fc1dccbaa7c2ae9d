/**
 * Figures over several rounds: the median with the lowest and the highest value, so that no round is hidden. A
 * percentile is the value that the given share of the sorted values does not exceed.
 */
export interface Figure {
  readonly median: number
  readonly min: number
  readonly max: number
}

export const figure = (values: ReadonlyArray<number>): Figure => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}

/** Returns the ratios of the rounds, each against the baseline measured right beside it. */
export const ratios = (values: ReadonlyArray<number>, baseline: ReadonlyArray<number>): Figure =>
  figure(values.map((value, i) => value / baseline[i]!))

/** Returns the percentile by nearest rank: of a hundred values, 0.99 is the 99th and not the highest. */
export const percentile = (sorted: Float64Array, share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!
