/**
 * The end of a server: by request (SIGTERM) or not (SIGKILL), as a process of its own.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as Path from "node:path"
import { offsetOf } from "../support/names.ts"
import { until } from "../support/room.ts"
import { append, appendNumbers, eventTexts, temporaryDirectory } from "../support/served.ts"
import { ServerProcess, startServer } from "../support/server-process.ts"
import { SseReader } from "../support/sse-reader.ts"

/** A conversation with servers on a directory of their own; those that still run at its end are killed. */
const withServers = (
  conversation: (
    start: (...options: ReadonlyArray<string>) => Promise<ServerProcess>,
    directory: string
  ) => Promise<void>
) =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const started: Array<ServerProcess> = []
    yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all(started.map((server) => server.kill()))))
    yield* Effect.promise(() =>
      conversation(async (...options) => {
        const server = await startServer(directory, ...options)
        started.push(server)
        return server
      }, directory)
    )
  }))

/** Starts a server that is expected to end by itself. */
const startInVain = async (directory: string, ...flags: ReadonlyArray<string>) => {
  const server = await ServerProcess.make(directory)
  server.launch({ flags })
  return { code: await server.ended(), log: server.log }
}

/** Appends one event after the other until the server is gone; returns the acknowledged ones. */
const appendUntilGone = async (port: number, name: string): Promise<ReadonlyArray<string>> => {
  const acknowledged: Array<string> = []
  try {
    for (let i = 0;; i++) acknowledged.push(await append(port, name, String(i)))
  } catch {
    return acknowledged
  }
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  it.live(`Promise 2: ${signal} with 50 followers and appends under way: a clean end, exit 0 within 2 s, nothing lost`, () =>
    withServers(async (start) => {
      const server = await start()
      const names = ["a", "b", "c"]
      for (const name of names) await append(server.port, name, `"first"`)
      const followers = await Promise.all(
        Array.from({ length: 50 }, (_, i) => SseReader.open(server.port, `/streams/${names[i % 3]}?offset=-1`))
      )
      const seen = followers.map(async (follower) => {
        const texts: Array<string> = []
        // A connection that is cut instead of ended fails here.
        for (let frame = await follower.frame(); frame !== undefined; frame = await follower.frame()) {
          assert.isUndefined(frame.event)
          if (frame.data !== undefined) texts.push(frame.data)
        }
        return texts
      })
      const appenders = Array.from({ length: 20 }, (_, i) => appendUntilGone(server.port, names[i % 3]!))
      for (const follower of await Promise.all(names.map((name) => SseReader.open(server.port, `/streams/${name}`)))) {
        await follower.events(20)
      }
      const from = performance.now()
      server.signal(signal)
      const code = await server.ended()
      assert.isBelow(performance.now() - from, 2_000)
      assert.strictEqual(code, 0, server.log)

      const texts = await Promise.all(seen)
      const acknowledged = await Promise.all(appenders)
      const next = await start()
      for (const [i, name] of names.entries()) {
        const stored = await eventTexts(next.port, name)
        const all = new Set(stored)
        const missing = acknowledged.filter((_, k) => k % 3 === i).flat().filter((text) => !all.has(text))
        assert.deepStrictEqual(missing, [])
        for (const [k, each] of texts.entries()) {
          if (k % 3 === i) assert.deepStrictEqual(each, stored.slice(0, each.length))
        }
      }
    }))
}

it.live("Promise 2: kill -9 under load loses no acknowledged event, and the next server starts at once", () =>
  withServers(async (start) => {
    const name = "log"
    let acknowledged: ReadonlyArray<string> = []
    for (let round = 0; round < 2; round++) {
      const server = await start()
      const before = await eventTexts(server.port, name)
      assert.deepStrictEqual(before.slice(0, acknowledged.length), acknowledged)
      const appenders = Array.from({ length: 10 }, () => appendUntilGone(server.port, name))
      const follower = await SseReader.open(server.port, `/streams/${name}`)
      const shown = (await follower.events(50)).map(({ data }) => data!)
      await server.kill()
      const next = await start()
      const stored = await eventTexts(next.port, name)
      const offsets = stored.map((text) => JSON.parse(text).offset as string)
      assert.deepStrictEqual(offsets, stored.map((_, i) => offsetOf(i)))
      const all = new Set(stored)
      const acked = (await Promise.all(appenders)).flat()
      assert.isAbove(acked.length, 0)
      assert.deepStrictEqual([...acked, ...shown, ...before].filter((text) => !all.has(text)), [])
      acknowledged = stored
      await next.kill()
    }
  }))

it.live("Promise 2: kill -9 under load on many streams, which share a journal, loses no acknowledged event of any", () =>
  withServers(async (start) => {
    const names = Array.from({ length: 12 }, (_, i) => `many-${i}`)
    const acknowledged = new Map<string, Array<string>>()
    for (let round = 0; round < 2; round++) {
      const server = await start()
      const appenders = names.map((name) => appendUntilGone(server.port, name))
      const journal = Path.join(server.directory, "journal.0")
      await until(() => fs.existsSync(journal) && fs.statSync(journal).size > 64 * 1024, () => "a journal in use")
      await server.kill()
      for (const [i, acked] of (await Promise.all(appenders)).entries()) {
        acknowledged.set(names[i]!, [...acknowledged.get(names[i]!) ?? [], ...acked])
      }
      const next = await start()
      for (const [name, acked] of acknowledged) {
        const stored = await eventTexts(next.port, name)
        assert.deepStrictEqual(
          stored.map((text) => JSON.parse(text).offset as string),
          stored.map((_, i) => offsetOf(i))
        )
        const all = new Set(stored)
        assert.deepStrictEqual(acked.filter((text) => !all.has(text)), [])
      }
      await next.kill()
    }
  }))

it.live("Promise 9: a second server on the same directory refuses and names the first, which goes on", () =>
  withServers(async (start, directory) => {
    const first = await start()
    await append(first.port, "s", "1")
    const second = await startInVain(directory)
    assert.notStrictEqual(second.code, 0)
    assert.include(second.log, `pid ${first.pid}`)
    assert.include(second.log, `port ${first.port}`)
    assert.include(second.log, first.directory)
    // A sentence for a person, not a stack.
    assert.notMatch(second.log, /\bat .*:\d+:\d+/)
    assert.include(await append(first.port, "s", "2"), offsetOf(1))
    await first.kill()
    const third = await start()
    assert.strictEqual((await eventTexts(third.port, "s")).length, 2)
  }))

it.live("Promise 9: memory is locked like files: its directory has one server, too", () =>
  withServers(async (start, directory) => {
    const first = await start("--storage=memory")
    const second = await startInVain(directory, "--storage=memory")
    assert.include(second.log, `pid ${first.pid}`)
  }))

it.live("Promise 3: a request of many events that was cut by kill -9 is there as a whole or not at all", () =>
  withServers(async (start) => {
    const server = await start("--durability=os")
    const batches = (async () => {
      try {
        while (true) await appendNumbers(server.port, "s", 500)
      } catch {
        // The server is gone, as it should be.
      }
    })()
    const follower = await SseReader.open(server.port, "/streams/s?offset=-1")
    await follower.events(2_000)
    await server.kill()
    await batches
    const next = await start()
    const stored = await eventTexts(next.port, "s")
    assert.strictEqual(stored.length % 500, 0)
    assert.deepStrictEqual(
      stored.map((text) => JSON.parse(text).data as number),
      stored.map((_, i) => i % 500)
    )
  }))

it.live(
  "a long-poll that waits while the server stops is answered with the tail, as if its time had run out",
  () =>
    withServers(async (start) => {
      const server = await start("--storage=memory")
      await append(server.port, "a", "0")
      const url = `http://127.0.0.1:${server.port}`
      const waiting = fetch(`${url}/v1/stream/a?offset=1&live=long-poll`)
      const followers = async () => {
        const { usage } = (await (await fetch(`${url}/health`)).json()) as {
          readonly usage: { readonly followers: number }
        }
        return usage.followers
      }
      await until(async () => await followers() === 1, () => "the long-poll's arrival")
      const from = performance.now()
      server.signal("SIGTERM")
      const answer = await waiting
      assert.strictEqual(answer.status, 204)
      assert.strictEqual(answer.headers.get("stream-next-offset"), offsetOf(1))
      assert.strictEqual(answer.headers.get("stream-up-to-date"), "true")
      assert.strictEqual(await server.ended(), 0)
      assert.isBelow(performance.now() - from, 1_400)
    }),
  30_000
)
