/**
 * Times as events show them: RFC 3339 in UTC with milliseconds, 24 characters.
 */
import { DateTime } from "effect"

/** Milliseconds since 1970 as text. A busy server asks many times a millisecond, so the newest text is kept. */
export const isoTime = (millis: number): string => {
  if (millis !== newest.millis) newest = { millis, text: DateTime.formatIso(DateTime.makeUnsafe(millis)) }
  return newest.text
}

let newest = { millis: Number.NaN, text: "" }
