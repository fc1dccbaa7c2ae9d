/**
 * Times of requests: those of RFC 3339 5.6 and 5.7, and nothing else.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { rfc3339Millis } from "../../src/domain/rfc3339.ts"
import type { Log } from "../../src/storage/storage.ts"
import { Lifetime } from "../../src/stream/expiry.ts"

const of = (...parts: [number, number, number?, number?, number?, number?, number?]) => Date.UTC(...parts)

describe("A time by RFC 3339", () => {
  it.each([
    ["1970-01-01T00:00:00Z", 0],
    ["1985-04-12T23:20:50.52Z", of(1985, 3, 12, 23, 20, 50, 520)],
    ["1996-12-19T16:39:57-08:00", of(1996, 11, 20, 0, 39, 57)],
    ["1937-01-01T12:00:27.87+00:20", of(1937, 0, 1, 11, 40, 27, 870)],
    ["2026-01-08t09:00:00z", of(2026, 0, 8, 9)],
    ["2026-01-08 09:00:00Z", of(2026, 0, 8, 9)],
    ["2026-01-08T09:00:00-00:00", of(2026, 0, 8, 9)],
    ["2026-01-08T09:00:00.123456789Z", of(2026, 0, 8, 9, 0, 0, 123)],
    ["2028-02-29T00:00:00Z", of(2028, 1, 29)],
    ["2000-02-29T00:00:00Z", of(2000, 1, 29)],
    ["0000-01-01T00:00:00Z", -62167219200000],
    ["9999-12-31T23:59:59.999Z", of(9999, 11, 31, 23, 59, 59, 999)],
    // Leap seconds: those of RFC 3339 5.8, and one in another zone.
    ["1990-12-31T23:59:60Z", of(1991, 0, 1)],
    ["1990-12-31T15:59:60-08:00", of(1991, 0, 1)],
    ["2030-06-30T23:59:60.5Z", of(2030, 6, 1, 0, 0, 0, 500)],
    ["2030-07-01T05:29:60+05:30", of(2030, 6, 1)]
  ])("takes %s", (text, millis) => {
    assert.strictEqual(rfc3339Millis(text), millis)
  })

  it.each([
    "2030-02-30T00:00:00Z",
    "2030-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2030-04-31T00:00:00Z",
    "2030-13-01T00:00:00Z",
    "2030-00-01T00:00:00Z",
    "2030-01-00T00:00:00Z",
    "2030-01-32T00:00:00Z",
    "2030-01-08T24:00:00Z",
    "2030-01-08T09:60:00Z",
    "2030-01-08T09:00:61Z",
    // This minute has no leap second.
    "2030-01-08T09:00:60Z",
    "2030-01-08T23:59:60Z",
    "1990-12-31T23:59:60-08:00",
    "2030-01-08T09:00:00+24:00",
    "2030-01-08T09:00:00+01:60",
    "2030-01-08T09:00:00",
    "2030-01-08T09:00Z",
    "2030-01-08",
    "2030-01-08T09:00:00.Z",
    "2030-01-08T09:00:00+0100",
    "2030-01-08T09:00:00Z ",
    "٢٠٣٠-01-08T09:00:00Z",
    "+002030-01-08T09:00:00Z",
    ""
  ])("does not take %j", (text) => {
    assert.isUndefined(rfc3339Millis(text))
  })

  it("is not required of a log: a stream that was made with 30 February, when that was accepted, expires as before", () => {
    const description = { expiresAt: "2030-02-30T00:00:00Z", createdAt: "2030-01-01T00:00:00.000Z" }
    const lifetime = new Lifetime({ description, touchedAt: 0, hidden: false } as unknown as Log)
    assert.strictEqual(lifetime.due(0, false), of(2030, 2, 2))
  })

  it.prop("is read as the same moment as by a clock, for every moment", [
    Schema.Int.check(Schema.isBetween({ minimum: of(1, 0), maximum: of(9999, 11) }))
  ], ([millis]) => {
    assert.strictEqual(rfc3339Millis(new Date(millis).toISOString()), millis)
  })
})
