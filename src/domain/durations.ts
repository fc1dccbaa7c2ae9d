/**
 * Durations as people write them: `90s`, `10m`, `1h30m`, `2d`, `500ms`.
 */

/** The milliseconds of a duration; undefined if the text is not one. */
export const durationMillis = (text: string): number | undefined => {
  if (!/^(?:\d{1,9}(?:ms|s|m|h|d|w))+$/.test(text)) return undefined
  let sum = 0
  for (const [, count, unit] of text.matchAll(/(\d{1,9})(ms|s|m|h|d|w)/g)) sum += Number(count) * unitMillis[unit!]!
  return sum
}

const second = 1_000
const day = 24 * 60 * 60 * second

const unitMillis: Readonly<Record<string, number>> = {
  ms: 1,
  s: second,
  m: 60 * second,
  h: 60 * 60 * second,
  d: day,
  w: 7 * day
}
