/**
 * Producers whose ids a log writes with escapes are recognised after a restart, each by its own name.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { during, serverSettings, temporaryDirectory } from "../support/served.ts"

const large = JSON.stringify("x".repeat(300_000))

const send = async (port: number, stream: string, id: string, seq: number, data = "1") => {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/stream/${stream}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "producer-id": id,
      "producer-epoch": "0",
      "producer-seq": `${seq}`
    },
    body: data
  })
  await answer.arrayBuffer()
  return answer.status
}

describe("Promise 3: numbered appends", () => {
  it.live("are made once after a restart, by whatever name", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const settings = { ...serverSettings(directory), storage: "fs", durability: "fsync" } as const
      yield* during(settings, async (port) => {
        for (const [stream, id] of [["a", "w\\"], ["b", "w\""]] as const) {
          const put = { method: "PUT", headers: { "content-type": "application/json" } }
          await fetch(`http://127.0.0.1:${port}/v1/stream/${stream}`, put)
          assert.strictEqual(await send(port, stream, "first", 0), 200)
          assert.strictEqual(await send(port, stream, id, 0), 200)
          // After this many bytes the whole state is written.
          assert.strictEqual(await send(port, stream, "first", 1, large), 200)
          assert.strictEqual(await send(port, stream, "first", 2), 200)
        }
      })
      yield* during(settings, async (port) => {
        await fetch(`http://127.0.0.1:${port}/v1/stream/a`, { method: "HEAD" })
        assert.strictEqual(await send(port, "b", "w\"", 0), 204, "it is there already")
        assert.strictEqual(await send(port, "b", "w\\", 0), 200, "it was never sent")
        const answer = await fetch(`http://127.0.0.1:${port}/v1/stream/b?offset=-1`)
        assert.deepStrictEqual((await answer.json() as ReadonlyArray<unknown>).map((data) => data === 1), [
          true,
          true,
          false,
          true,
          true
        ])
      })
    }))
})
