/**
 * The answer to a follower by `live=sse` when the log cannot be read any further (docs/protocol.md 14), and text that
 * is cut anywhere.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { wholePieces } from "../../src/stream-http/whole-text.ts"
import { freshName, offsetOf } from "../support/names.ts"
import { append, during, layerServer, serverSettings, talk, temporaryDirectory } from "../support/served.ts"
import { get, Live, post, putText, text } from "../support/speaking.ts"

it.live(
  "Promise 10: a damaged log is reported to followers in the refusal, or after the whole events",
  () =>
    Effect.scoped(Effect.gen(function*() {
      const settings = { ...serverSettings(yield* temporaryDirectory), storage: "fs" as const }
      const file = path.join(settings.dataDirectory, "streams", "d.json")
      yield* during(settings, async (port) => {
        for (let i = 0; i < 8; i++) await append(port, "d", `"event ${i} of the log"`)
      })
      const whole = fs.readFileSync(file, "utf8")
      const damage = (event: number) =>
        Effect.sync(() => fs.writeFileSync(file, whole.replace(`event ${event} of`, `event 9 of`)))

      yield* damage(0)
      yield* during(settings, async (port) => {
        const refused = await get(port, "d", "?offset=-1&live=sse")
        assert.strictEqual(refused.status, 500)
        assert.strictEqual(refused.headers.get("content-type"), "application/problem+json")
        const problem = (await refused.json()) as Record<string, unknown>
        assert.strictEqual(problem["type"], "urn:durable-streams:LogDamaged")
      })

      yield* damage(3)
      yield* during(settings, async (port) => {
        const live = await Live.open(port, "d", "offset=-1")
        assert.strictEqual(live.status, 200)
        const { control, data } = await live.batch()
        assert.strictEqual(data, JSON.stringify([0, 1, 2].map((i) => `event ${i} of the log`)))
        assert.strictEqual(control.streamNextOffset, offsetOf(3))
        const told = await live.event()
        assert.strictEqual(told?.type, "problem")
        assert.include(told?.data, "urn:durable-streams:LogDamaged")
        // The follower comes back to the same place, so it does not skip the damaged part.
        assert.strictEqual(told?.id, "")
        assert.isUndefined(await live.event())
        assert.strictEqual((await get(port, "d", "?offset=3&live=sse")).status, 500)
      })
    })),
  60_000
)

const bytes = (...numbers: ReadonlyArray<number>) => Uint8Array.from(numbers)

describe("text that is cut anywhere", () => {
  const cafe = Buffer.from("caf\xe9", "latin1")

  it("is held back only from the piece that begins an incomplete character", () => {
    const a = Buffer.from("a")
    const cases: ReadonlyArray<readonly [what: string, pieces: ReadonlyArray<Uint8Array>, whole: number]> = [
      ["nothing", [], 0],
      ["whole", [a, a], 2],
      ["half at the end", [a, bytes(0xe2, 0x82)], 1],
      ["half in two pieces", [a, bytes(0xe2), bytes(0x82)], 1],
      ["whole in three pieces", [a, bytes(0xe2), bytes(0x82), bytes(0xac)], 4],
      ["half of four bytes", [a, bytes(0xf0, 0x9f, 0x98)], 1],
      ["half in front of an empty piece", [a, bytes(0xc3), bytes()], 1],
      ["a lead byte that nothing goes on with", [cafe, a], 2],
      ["the same, again and again", Array.from({ length: 1000 }, () => cafe), 999],
      ["the rest of a character and half of the next", [bytes(0xe2, 0x82), bytes(0xac, 0xe2), bytes(0x82)], 0],
      ["a run without a lead byte", [a, bytes(0x82, 0x82, 0x82, 0x82)], 2]
    ]
    for (const [what, pieces, whole] of cases) assert.strictEqual(wholePieces(pieces), whole, what)
  })
})

it.live("Promise 6: text that ends in half a character with each event is sent while it is written", () =>
  talk(async (port) => {
    const name = freshName()
    const latin = new Uint8Array(Buffer.from("caf\xe9", "latin1"))
    await putText(port, name)
    const live = await Live.open(port, name, "offset=-1")
    assert.isUndefined((await live.batch()).data)
    let data = ""
    for (let i = 0; i < 12; i++) {
      await post(port, name, text, latin)
      if (i === 0) continue
      const batch = await live.batch()
      data += batch.data
      // One event is held back at most.
      assert.isAtLeast(Number(batch.control.streamNextOffset), i)
    }
    assert.include(data, "caf\ufffdcaf\ufffd")
    live.close()
  }).pipe(Effect.provide(layerServer())))
