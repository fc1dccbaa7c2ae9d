/**
 * A slow follower costs nothing but its place (promise 6): the server's memory, with and without a follower that has
 * stopped reading. The memory is that of a server in a process of its own.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { offsetOf } from "../support/names.ts"
import { append, temporaryDirectory } from "../support/served.ts"
import { type ServerProcess, startServer } from "../support/server-process.ts"
import { SseReader } from "../support/sse-reader.ts"

/**
 * 100 MB in events of 64 KB: fifty times the bytes that the kernel buffers for a socket that its client does not read.
 */
const count = 1_600
const payload = `"${"x".repeat(64 * 1024)}"`

/** Appends them all; returns the memory that the server holds then. */
const memoryAfterLoad = async (server: ServerProcess): Promise<number> => {
  let left = count
  const appender = async () => {
    while (left-- > 0) await append(server.port, "s", payload)
  }
  await Promise.all(Array.from({ length: 4 }, appender))
  return server.residentMegabytes()
}

/** Followers that have read four megabytes and wait for more; each may cost no more than a follower that came later. */
const waiting = 100
const kilobytesMax = 60

it.live.each(["/streams/s?offset=-1", "/v1/stream/s?offset=-1&live=sse"])(
  "Promise 6: followers who have caught up cost no more than those who had nothing to catch up with: %s",
  (target) =>
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      yield* withServer(directory, async (server) => {
        for (let i = 0; i < 64; i++) await append(server.port, "s", payload)
        const open = async () => {
          const follower = await SseReader.open(server.port, target)
          let bytes = 0
          while (bytes < 64 * payload.length) bytes += (await follower.frame())!.text.length
          return follower
        }
        const first = await open()
        const before = await server.residentMegabytes()
        const followers: Array<SseReader> = []
        while (followers.length < waiting) followers.push(await open())
        const each = (await server.residentMegabytes() - before) * 1024 / waiting
        assert.isBelow(each, kilobytesMax, `${each.toFixed(1)} KB each`)
        for (const follower of [first, ...followers]) follower.close()
      })
    })),
  60_000
)

const withServer = <A>(directory: string, use: (server: ServerProcess) => Promise<A>) =>
  Effect.acquireUseRelease(
    Effect.promise(() => startServer(directory, "--durability=os")),
    (server) => Effect.promise(() => use(server)),
    (server) => Effect.promise(() => server.kill())
  )

it.live(
  "Promise 6: a follower who stops reading costs the server no memory, and gets every event when it reads again",
  () =>
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const without = yield* withServer(path.join(directory, "without"), memoryAfterLoad)
      yield* Effect.sync(() => fs.rmSync(path.join(directory, "without"), { recursive: true }))
      yield* withServer(path.join(directory, "with"), async (server) => {
        const follower = await SseReader.open(server.port, "/streams/s")
        assert.strictEqual((await follower.frame())?.event, "connected")
        follower.wire.socket.pause()
        const stalled = await memoryAfterLoad(server)
        assert.isBelow(stalled, without + 20, `${without.toFixed(1)} MB without it, ${stalled.toFixed(1)} MB with it`)
        follower.wire.socket.resume()
        for (let i = 0; i < count; i++) {
          const { data, id } = await follower.event()
          assert.strictEqual(id, offsetOf(i))
          assert.isTrue(data?.includes(payload), "an event is not what was appended")
        }
        follower.close()
      })
    })),
  60_000
)
