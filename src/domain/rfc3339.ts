/**
 * Times as people and programs write them: RFC 3339, and no text that only looks like it. `Date` takes 30 February for
 * 2 March and 24:00 for the next day, and knows no leap second.
 */
import { DateTime } from "effect"

/** Milliseconds since 1970; undefined if the text is no date-time (RFC 3339 5.6) or cannot exist (5.7). */
export const rfc3339Millis = (text: string): number | undefined => {
  const parts = form.exec(text)
  if (parts === null) return undefined
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number
  ]
  const [, , , , , , , fraction = "", sign, zoneHour = "0", zoneMinute = "0"] = parts
  if (hour > 23 || minute > 59 || second > 60 || Number(zoneHour) > 23 || Number(zoneMinute) > 59) return undefined
  const date = new Date(0)
  // The constructor adds 1900 to the first hundred years.
  date.setUTCFullYear(year, month - 1, day)
  // `Date` turns a day that does not exist into a day of the next month.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  const zoneMinutes = (sign === "-" ? -1 : 1) * (Number(zoneHour) * 60 + Number(zoneMinute))
  date.setUTCHours(hour, minute - zoneMinutes, second)
  // Computers count a leap second as the second after it. It can only be the last one of a month.
  if (second === 60 && (date.getUTCDate() !== 1 || date.getTime() % dayMillis !== 0)) return undefined
  return date.getTime() + Number(fraction.slice(0, 3).padEnd(3, "0"))
}

/** RFC 3339 5.6 allows a space instead of the `T`, which is easier to read. */
const form = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/

const dayMillis = 24 * 60 * 60 * 1_000

/** Milliseconds since 1970 as events show them: in UTC with milliseconds, 24 characters. */
export const toRfc3339 = (millis: number): string => {
  // A busy server asks many times a millisecond: the newest answer is kept.
  if (millis !== newest.millis) newest = { millis, text: DateTime.formatIso(DateTime.makeUnsafe(millis)) }
  return newest.text
}

let newest = { millis: Number.NaN, text: "" }
