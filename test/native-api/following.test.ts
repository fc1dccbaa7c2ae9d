/**
 * A follower misses nothing and sees nothing twice (promise 4): over bare sockets, and with a real `EventSource`.
 */
import { assert, it, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { eventSource } from "../support/event-source.ts"
import { freshName, offsetOf } from "../support/names.ts"
import {
  append,
  appendNumbers,
  during,
  eventTexts,
  layerServer,
  listStreams,
  serverSettings,
  talk,
  temporaryDirectory,
  urlOf
} from "../support/served.ts"
import { SseReader } from "../support/sse-reader.ts"

/** Fails unless the frames hold exactly the events from `from` on. */
const assertConsecutive = (seen: ReadonlyArray<string>, from: number, texts: ReadonlyArray<string>) => {
  assert.deepStrictEqual(seen, texts.slice(from, from + seen.length))
}

/** Follows until `until` events were seen; hangs up after every few, and resumes after the last id. */
const followInPieces = async (port: number, name: string, until: number, pieces: ReadonlyArray<number>) => {
  const seen: Array<string> = []
  let lastId = "-1"
  for (let turn = 0; seen.length < until; turn++) {
    const follower = await SseReader.open(port, `/streams/${name}`, { "Last-Event-ID": lastId })
    let left = pieces[turn % pieces.length]!
    while (left-- > 0 && seen.length < until) {
      const frame = await follower.event()
      seen.push(frame.data!)
      lastId = frame.id!
    }
    follower.close()
  }
  return seen
}

for (const storage of ["memory", "fs"] as const) {
  layer(layerServer({ storage }), { excludeTestServices: true })(`following (${storage})`, (it) => {
    it.effect("Promise 4: while four callers append, readers who come, go and come back see every event once", () =>
      talk(async (port) => {
        const name = freshName()
        const count = 400
        await appendNumbers(port, name, 3)
        const appenders = Array.from({ length: 4 }, async (_, k) => {
          for (let i = 0; i < count / 4; i++) await append(port, name, `"${k}-${i}"`)
        })
        const total = count + 3
        const readers = [[1], [2, 1, 7], [13], [50, 1], [1_000], [3, 30]].map((pieces) =>
          followInPieces(port, name, total, pieces)
        )
        const whole = (async () => {
          const follower = await SseReader.open(port, `/streams/${name}?offset=-1`)
          return (await follower.events(total)).map(({ data }) => data!)
        })()
        const seen = await Promise.all([...readers, whole])
        await Promise.all(appenders)
        const texts = await eventTexts(port, name)
        assert.strictEqual(texts.length, total)
        for (const each of seen) assert.deepStrictEqual(each, texts)
      }))

    it.effect("Promise 4: a reader who connects while appends are under way begins where the answer says, without a gap", () =>
      talk(async (port) => {
        const name = freshName()
        const total = 300
        const texts: Array<string> = []
        const appender = (async () => {
          for (let i = 0; i < total; i++) texts.push(await append(port, name, String(i)))
        })()
        const readers: Array<Promise<{ from: number; seen: ReadonlyArray<string> }>> = []
        const starts = ["now", "-1", "0", "beginning", "now", "17", "now"]
        // A new reader as long as there are events to append.
        for (let i = 0; texts.length < total; i++) {
          const start = starts[i % starts.length]!
          const offset = Number(start) > texts.length ? "0" : start
          const follower = await SseReader.open(port, `/streams/${name}?offset=${offset}`)
          const from = Number(follower.headers["stream-next-offset"])
          readers.push((async () => {
            const seen = (await follower.events(total - from)).map(({ data }) => data!)
            follower.close()
            return { from, seen }
          })())
        }
        await appender
        for (const { from, seen } of await Promise.all(readers)) {
          assertConsecutive(seen, from, texts)
          assert.strictEqual(seen.length, total - from)
        }
        assert.isAbove(readers.length, 10)
      }))

    it.effect("Promise 4: a follower with nothing to catch up gets a first frame with a name and an id to resume from", () =>
      talk(async (port) => {
        const name = freshName()
        const missed = async (follower: SseReader) => {
          const first = await follower.frame()
          assert.strictEqual(first?.event, "connected")
          follower.close()
          const event = await append(port, name, "1")
          const resumed = await SseReader.open(port, `/streams/${name}`, { "Last-Event-ID": first!.id! })
          assert.strictEqual((await resumed.event()).data, event)
          resumed.close()
        }
        await missed(await SseReader.open(port, `/streams/${name}`))
        await missed(await SseReader.open(port, `/streams/${name}`))
        await missed(await SseReader.open(port, `/streams/${name}?offset=2`))
        await missed(await SseReader.open(port, `/streams/${name}`, { "Last-Event-ID": offsetOf(2) }))
      }))

    it.effect("Promise 4: a thousand events of history and the next ones arrive as one run", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 1_000)
        const follower = await SseReader.open(port, `/streams/${name}?offset=-1`)
        const live = append(port, name, "1000")
        const frames = await follower.events(1_001)
        await live
        assert.deepStrictEqual(frames.map(({ id }) => id), Array.from({ length: 1_001 }, (_, i) => offsetOf(i)))
        assert.deepStrictEqual(frames.map(({ data }) => data), [...(await eventTexts(port, name))])
        follower.close()
      }))

    it.effect("two hundred followers are each given every event, in order", () =>
      talk(async (port) => {
        const name = freshName()
        const followers = await Promise.all(Array.from({ length: 200 }, () => SseReader.open(port, `/streams/${name}`)))
        for (let i = 0; i < 20; i++) await append(port, name, String(i))
        const texts = await eventTexts(port, name)
        for (const follower of followers) {
          assert.deepStrictEqual((await follower.events(20)).map(({ data }) => data), [...texts])
          follower.close()
        }
      }))

    it.effect("a stream that does not exist yet can be waited for, and only its first append makes it", () =>
      talk(async (port) => {
        const name = freshName()
        const followers = [
          await SseReader.open(port, `/streams/${name}`),
          await SseReader.open(port, `/streams/${name}?offset=-1`),
          await SseReader.open(port, `/streams/${name}?tail=5`),
          await SseReader.open(port, `/streams/${name}?since=1h`)
        ]
        for (const follower of followers) {
          assert.isUndefined(follower.headers["stream-life"])
          const first = await follower.frame()
          assert.deepStrictEqual([first?.event, first?.id], ["connected", "-1"])
          assert.isNull((JSON.parse(first!.data!) as Record<string, unknown>)["life"])
        }
        const later = await SseReader.open(port, `/streams/${name}?offset=1`)
        assert.strictEqual(later.status, 410)
        assert.notInclude(await listStreams(port), name)
        const event = await append(port, name, "0")
        const life = (await SseReader.open(port, `/streams/${name}?offset=-1`)).headers["stream-life"]
        assert.isDefined(life)
        for (const follower of followers) {
          // The follower is told which life this is, before the first event.
          const born = await follower.frame()
          assert.deepStrictEqual([born?.event, born?.id], ["connected", "-1"])
          assert.strictEqual((JSON.parse(born!.data!) as Record<string, unknown>)["life"], life)
          assert.strictEqual((await follower.event()).data, event)
        }
        const second = await append(port, name, "1")
        for (const follower of followers) {
          assert.strictEqual((await follower.event()).data, second)
          follower.close()
        }
      }))

    it.effect("a follower of a closed stream is told after the last event, whenever it was closed, and its answer ends", () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, "0")
        const early = await SseReader.open(port, `/streams/${name}`)
        await fetch(urlOf(port, name), {
          method: "POST",
          headers: { "content-type": "application/json", "stream-closed": "true" },
          body: `{"data":1}`
        })
        const late = await SseReader.open(port, `/streams/${name}?offset=1`)
        const behind = await SseReader.open(port, `/streams/${name}?offset=2`)
        for (const follower of [early, late]) assert.strictEqual((await follower.event()).id, offsetOf(1))
        for (const follower of [early, late, behind]) {
          const told = await follower.event()
          assert.deepStrictEqual([told.event, told.data], ["closed", `{"nextOffset":"${offsetOf(2)}"}`])
          assert.isUndefined(await follower.frame())
        }
      }))

    it.effect("a follower of a deleted stream is told, and its answer ends; the next stream of that name is another", () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, `"old"`)
        const followers = [
          await SseReader.open(port, `/streams/${name}`),
          await SseReader.open(port, `/streams/${name}?offset=-1`)
        ]
        await followers[1]!.event()
        assert.strictEqual((await fetch(urlOf(port, name), { method: "DELETE" })).status, 204)
        await append(port, name, `"new"`)
        for (const follower of followers) {
          const told = await follower.event()
          assert.deepStrictEqual([told.event, told.id], ["problem", "-1"])
          const problem = JSON.parse(told.data!) as Record<string, unknown>
          assert.strictEqual(problem["type"], "urn:durable-streams:StreamDeleted")
          assert.strictEqual(problem["status"], 410)
          assert.strictEqual(problem["stream"], name)
          assert.isUndefined(await follower.frame())
        }
      }))
  })
}

it.effect("a quiet following says every fifteen seconds that it is alive", () =>
  talk(async (port) => ({
    quiet: await SseReader.open(port, `/streams/${freshName()}`),
    port
  })).pipe(
    Effect.flatMap(Effect.fnUntraced(function*({ quiet, port }) {
      assert.strictEqual((yield* Effect.promise(() => quiet.frame()))?.event, "connected")
      for (let i = 0; i < 3; i++) {
        const frame = yield* Effect.forkChild(Effect.promise(() => quiet.frame()))
        yield* TestClock.adjust("15 seconds")
        assert.strictEqual((yield* Fiber.join(frame))?.text, ": keep-alive")
      }
      // Only the clock has moved: the stream is still served.
      const name = yield* Effect.promise(() => listStreams(port))
      assert.deepStrictEqual(name, [])
      quiet.close()
    })),
    Effect.provide(layerServer())
  ))

/** Prints `id data` for every event. */
const printing = `
  source.onopen = () => console.log("open")
  source.onmessage = ({ lastEventId, data }) => console.log(lastEventId + " " + data)`

it.live("Promise 4: an EventSource resumes by itself after the server was restarted, and misses nothing", () =>
  Effect.scoped(Effect.gen(function*() {
    const settings = { ...serverSettings(yield* temporaryDirectory), storage: "fs" as const }
    const { early, late, port, texts } = yield* during(settings, async (port) => {
      const early = eventSource(`${urlOf(port, "s")}?offset=-1`, printing)
      const late = eventSource(urlOf(port, "s"), printing)
      assert.deepStrictEqual([await early.next(), await late.next()], ["open", "open"])
      const texts = [await append(port, "s", "0"), await append(port, "s", "1")]
      for (const source of [early, late]) {
        assert.strictEqual(await source.next(), `${offsetOf(0)} ${texts[0]}`)
        assert.strictEqual(await source.next(), `${offsetOf(1)} ${texts[1]}`)
      }
      return { early, late, port, texts }
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => [early.stop(), late.stop()]))
    const idle = yield* during({ ...settings, port }, async (port) => {
      // Appended before they are back, so that only their Last-Event-ID can bring it to them.
      texts.push(await append(port, "s", "2"))
      for (const source of [early, late]) {
        assert.strictEqual(await source.next(), "open")
        assert.strictEqual(await source.next(), `${offsetOf(2)} ${texts[2]}`)
      }
      // This one is cut off before it has seen anything at all.
      const idle = eventSource(urlOf(port, "s"), printing)
      assert.strictEqual(await idle.next(), "open")
      return idle
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => idle.stop()))
    yield* during({ ...settings, port }, async (port) => {
      texts.push(await append(port, "s", "3"))
      for (const source of [early, late, idle]) {
        assert.strictEqual(await source.next(), "open")
        assert.strictEqual(await source.next(), `${offsetOf(3)} ${texts[3]}`)
      }
    })
  })))
