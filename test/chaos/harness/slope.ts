/**
 * The growth of a value over time, from noisy samples: the median of the slopes between all pairs (Theil-Sen), with the
 * interval in which 95 of 100 such medians would lie if the noise were only noise (Sen 1968, without ties).
 */

export interface Slope {
  readonly slope: number
  readonly low: number
  readonly high: number
}

/** Returns the slope of `[x, y]` pairs with different x, in y per x. The caller must give at least ten pairs. */
export const theilSen = (samples: ReadonlyArray<readonly [x: number, y: number]>): Slope => {
  const slopes: Array<number> = []
  for (let i = 0; i < samples.length; i++) {
    for (let j = i + 1; j < samples.length; j++) {
      slopes.push((samples[j]![1] - samples[i]![1]) / (samples[j]![0] - samples[i]![0]))
    }
  }
  slopes.sort((one, other) => one - other)
  const n = samples.length
  const margin = 1.96 * Math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
  const at = (place: number) => slopes[Math.max(0, Math.min(slopes.length - 1, Math.round(place)))]!
  const middle = (slopes.length - 1) / 2
  return { slope: at(middle), low: at(middle - margin), high: at(middle + margin) }
}
