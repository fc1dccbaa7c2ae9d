/**
 * A place belongs to one life of a stream (docs/decisions/0013-lives.md): a reader whose place is beyond the tail, or
 * of another life, is told so, natively and by the protocol, together with the stream's present state. None of them
 * gets silence.
 */
import { assert, it, layer } from "@effect/vitest"
import { getBytes, getLines, getMessages } from "@microsoft/fetch-event-source/lib/cjs/parse.js"
import { Effect } from "effect"
import { eventSource } from "../support/event-source.ts"
import { freshName, offsetOf } from "../support/names.ts"
import {
  append,
  appendNumbers,
  during,
  layerServer,
  serverSettings,
  talk,
  temporaryDirectory,
  urlOf
} from "../support/served.ts"
import { closing, get, json, Live, post as protocolPost, put, putText } from "../support/speaking.ts"
import { SseReader } from "../support/sse-reader.ts"

const remove = async (port: number, name: string) =>
  assert.strictEqual((await fetch(urlOf(port, name), { method: "DELETE" })).status, 204)

const typeOf = (problem: Record<string, unknown>) => String(problem["type"]).replace("urn:durable-streams:", "")

/** The life of the stream, as an answer gives it. */
const lifeOf = async (port: number, name: string): Promise<string> =>
  (await fetch(`${urlOf(port, name)}/events`)).headers.get("stream-life")!

for (const storage of ["memory", "fs"] as const) {
  layer(layerServer({ storage, longPollMillis: 300 }), { excludeTestServices: true })(`lives (${storage})`, (it) => {
    it.effect("Promise 10: every following by an EventSource begins with its life, and curl's with the first event", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 2)
        const life = await lifeOf(port, name)
        const firstOf = async (accept: string) => {
          const answer = await fetch(`${urlOf(port, name)}?offset=-1`, { headers: { accept } })
          const { value } = await answer.body!.getReader().read()
          return Buffer.from(value!).toString().split("\n")[0]
        }
        assert.strictEqual(await firstOf("*/*"), `id: ${offsetOf(0)}`)
        assert.strictEqual(await firstOf("text/event-stream"), "event: connected")
        const answer = await fetch(`${urlOf(port, name)}?offset=-1`, { headers: { accept: "text/event-stream" } })
        const { value } = await answer.body!.getReader().read()
        assert.include(Buffer.from(value!).toString(), `"life":"${life}"`)
      }))

    it.effect("Promise 10: an offset beyond the tail is refused with the tail and the life, by every way to read", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 3)
        const life = await lifeOf(port, name)
        for (
          const url of [
            `${urlOf(port, name)}?offset=4`,
            `${urlOf(port, name)}?offset=4&tail=1`,
            `${urlOf(port, name)}/events?offset=4`,
            `http://127.0.0.1:${port}/v1/stream/${name}?offset=4`,
            `http://127.0.0.1:${port}/v1/stream/${name}?offset=4&live=long-poll`,
            `http://127.0.0.1:${port}/v1/stream/${name}?offset=4&live=sse`
          ]
        ) {
          const answer = await fetch(url)
          const problem = (await answer.json()) as Record<string, unknown>
          assert.deepStrictEqual([answer.status, typeOf(problem)], [410, "OffsetBeyondTail"], url)
          assert.deepStrictEqual([problem["tail"], problem["life"]], [offsetOf(3), life], url)
          assert.strictEqual(answer.headers.get("stream-next-offset"), offsetOf(3))
          assert.strictEqual(answer.headers.get("stream-life"), life)
        }
        // The tail itself is a place.
        const atTail = await SseReader.open(port, `/streams/${name}?offset=3`)
        assert.strictEqual(atTail.headers["stream-life"], life)
        const first = await atTail.frame()
        assert.deepStrictEqual([first?.event, first?.id], ["connected", offsetOf(2)])
        const { createdAt, ...rest } = JSON.parse(first!.data!) as Record<string, unknown>
        assert.match(String(createdAt), /^\d{4}-.*Z$/)
        assert.deepStrictEqual(rest, { eventStreamId: name, life, nextOffset: offsetOf(3), tail: offsetOf(3) })
        atTail.close()
      }))

    it.effect("Promise 10: a reader who names the life of its place is told when the stream is another one", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 3)
        const old = await lifeOf(port, name)
        await remove(port, name)
        await appendNumbers(port, name, 5)
        const now = await lifeOf(port, name)
        assert.notStrictEqual(now, old)
        const native = urlOf(port, name)
        const protocol = `http://127.0.0.1:${port}/v1/stream/${name}`
        const cases: ReadonlyArray<readonly [url: string, headers: Record<string, string>]> = [
          [`${native}?offset=3&life=${old}`, {}],
          [`${native}?offset=3`, { "Stream-Life": old }],
          [`${native}/events?offset=3&life=${old}`, {}],
          [`${protocol}?offset=3&life=${old}`, {}],
          [`${protocol}?offset=3&live=long-poll&life=${old}`, {}],
          [`${protocol}?offset=3&live=sse&life=${old}`, {}]
        ]
        for (const [url, headers] of cases) {
          const answer = await fetch(url, { headers })
          const problem = (await answer.json()) as Record<string, unknown>
          assert.deepStrictEqual([answer.status, typeOf(problem)], [410, "OtherLife"], url)
          assert.deepStrictEqual([problem["tail"], problem["life"]], [offsetOf(5), now], url)
        }
        // Its own life is no news, and the beginning is the same place in every life.
        for (
          const query of [`offset=3&life=${now}`, `offset=3&life=`, `offset=-1&life=${old}`, `offset=0&life=${old}`]
        ) {
          assert.strictEqual((await fetch(`${native}/events?${query}`)).status, 200, query)
        }
      }))

    it.effect("Promise 10: a reader of the protocol carries the life in its cursor", () =>
      talk(async (port) => {
        const name = freshName()
        const make = async (...events: ReadonlyArray<string>) => {
          await put(port, name, json)
          for (const event of events) await protocolPost(port, name, json, event)
        }
        await make("1", "2")
        const cursors = [
          (await get(port, name)).headers.get("stream-cursor"),
          (await get(port, name, "?offset=-1&live=long-poll")).headers.get("stream-cursor"),
          (await get(port, name, "?offset=2&live=long-poll")).headers.get("stream-cursor")
        ]
        const live = await Live.open(port, name, "offset=-1")
        cursors.push((await live.batch()).control.streamCursor!)
        live.close()
        for (const mode of ["", "&live=long-poll"]) {
          for (const cursor of cursors) {
            assert.match(cursor ?? "", /^\d+$/)
            assert.isBelow((await get(port, name, `?offset=1${mode}&cursor=${cursor}`)).status, 300)
          }
        }
        await remove(port, name)
        await make("3", "4", "5")
        for (const cursor of cursors) {
          for (const mode of ["", "&live=long-poll", "&live=sse"]) {
            assert.strictEqual((await get(port, name, `?offset=2${mode}&cursor=${cursor}`)).status, 410, `${mode}`)
          }
          assert.strictEqual(await (await get(port, name, `?offset=-1&cursor=${cursor}`)).text(), "[3,4,5]")
        }
      }))

    it.effect("Promise 10: a reader who resumes at a place that is gone is told in a frame, and its next resume begins at the beginning", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 2)
        const life = await lifeOf(port, name)
        const resumes: ReadonlyArray<readonly [target: string, headers: Record<string, string>, type: string]> = [
          [`/streams/${name}?offset=-1`, { "Last-Event-ID": offsetOf(4) }, "OffsetBeyondTail"],
          [`/streams/${name}?offset=-1&lastEventId=4`, {}, "OffsetBeyondTail"],
          [`/streams/${name}?life=0123456789abcdef`, { "Last-Event-ID": offsetOf(0) }, "OtherLife"],
          [`/v1/stream/${name}?offset=-1&live=sse`, { "Last-Event-ID": offsetOf(4) }, "OffsetBeyondTail"],
          [`/v1/stream/${name}?offset=-1&live=sse&life=x`, { "Last-Event-ID": offsetOf(1) }, "OtherLife"]
        ]
        for (const [target, headers, type] of resumes) {
          const answer = await fetch(`http://127.0.0.1:${port}${target}`, { headers })
          assert.deepStrictEqual([answer.status, answer.headers.get("content-type")?.split(";")[0]], [
            200,
            "text/event-stream"
          ])
          const [event, id, data, ...rest] = (await answer.text()).split("\n")
          assert.deepStrictEqual([event, id, rest], ["event: problem", "id: -1", ["", ""]], target)
          const problem = JSON.parse(data!.slice("data: ".length)) as Record<string, unknown>
          assert.deepStrictEqual([typeOf(problem), problem["tail"], problem["life"]], [type, offsetOf(2), life])
        }
        const again = await Live.open(port, name, "offset=now", { "Last-Event-ID": "-1" })
        assert.strictEqual((await again.batch()).data, "[0,1]")
        again.close()
      }))

    it.effect("a resume in the query counts if there is no header; otherwise the header wins", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 5)
        for (
          const [query, headers, from] of [
            ["?offset=-1&lastEventId=2", {}, 3],
            ["?offset=-1&lastEventID=2", {}, 3],
            ["?lastEventId=-1", {}, 0],
            ["?lastEventId=0", { "Last-Event-ID": "3" }, 4]
          ] as const
        ) {
          const follower = await SseReader.open(port, `/streams/${name}${query}`, headers)
          assert.strictEqual((await follower.frame())?.event, "connected")
          assert.strictEqual((await follower.event()).id, offsetOf(from), query)
          follower.close()
        }
        const live = await Live.open(port, name, "offset=-1&lastEventId=3")
        assert.strictEqual((await live.batch()).data, "[3,4]")
        live.close()
        for (const query of ["lastEventId=x", "lastEventId=", "lastEventId=1&lastEventId=1"]) {
          assert.strictEqual((await fetch(`${urlOf(port, name)}?${query}`)).status, 400, query)
        }
      }))

    it.effect("a resume at the end of a closed stream is answered 204, so that an EventSource stops", () =>
      talk(async (port) => {
        const name = freshName()
        await putText(port, name, "a", "b")
        await protocolPost(port, name, closing)
        for (
          const [target, id] of [[`/streams/${name}`, 1], [`/v1/stream/${name}?offset=-1&live=sse`, 2]] as const
        ) {
          const end = await fetch(`http://127.0.0.1:${port}${target}`, { headers: { "Last-Event-ID": offsetOf(id) } })
          assert.strictEqual(end.status, 204)
          assert.deepStrictEqual(
            [end.headers.get("stream-next-offset"), end.headers.get("stream-closed")],
            [offsetOf(2), "true"]
          )
          const before = await fetch(`http://127.0.0.1:${port}${target}`, { headers: { "Last-Event-ID": offsetOf(0) } })
          assert.strictEqual(before.status, 200)
          await before.body?.cancel()
        }
      }))

    it.effect("a following as fetch-event-source reads it holds JSON in every message", () =>
      talk(async (port) => {
        const name = freshName()
        const messages: Array<{ event: string; id: string; data: unknown }> = []
        const controller = new AbortController()
        const answer = await fetch(urlOf(port, name), { signal: controller.signal })
        const reading = getBytes(
          answer.body!,
          getLines(getMessages(() => {}, () => {}, ({ data, event, id }) => {
            messages.push({ event, id, data: JSON.parse(data) })
            if (messages.length === 3) controller.abort()
          }))
        )
        await append(port, name, "1")
        await reading.catch(() => {})
        assert.deepStrictEqual(messages.map(({ event, id }) => [event, id]), [
          ["connected", "-1"],
          ["connected", "-1"],
          ["", offsetOf(0)]
        ])
      }))
  })
}

it("comments are no messages to fetch-event-source", () => {
  const messages: Array<unknown> = []
  const lines = getLines(getMessages(() => {}, () => {}, (message) => void messages.push(message.data)))
  lines(Buffer.from(`id: 0\ndata: {"a":1}\n\n: keep-alive\n: keep-alive\nid: 1\ndata: {"a":2}\n\n: ping\n`))
  assert.deepStrictEqual(messages, [`{"a":1}`, `{"a":2}`])
})

/** Prints the events that come, and the state of the source after an error. */
const printing = `
  source.onerror = () => console.log("error " + source.readyState)
  source.onmessage = ({ data }) => console.log("message " + JSON.stringify(JSON.parse(data).data))
  source.addEventListener("closed", () => console.log("closed"))
  source.addEventListener("problem", ({ data }) => console.log("problem " + JSON.parse(data).type))`

const withSource = async <A>(url: string, use: (next: () => Promise<string>) => Promise<A>): Promise<A> => {
  const { next, stop } = eventSource(url, printing)
  try {
    return await use(next)
  } finally {
    stop()
  }
}

layer(layerServer(), { excludeTestServices: true })("an EventSource", (it) => {
  it.effect(
    "Promise 4: misses nothing of a stream that is deleted and made again under it",
    () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 2)
        await withSource(`${urlOf(port, name)}?offset=-1`, async (next) => {
          assert.deepStrictEqual([await next(), await next()], ["message 0", "message 1"])
          await remove(port, name)
          await append(port, name, `"new0"`)
          await append(port, name, `"new1"`)
          await append(port, name, `"new2"`)
          assert.strictEqual(await next(), "problem urn:durable-streams:StreamDeleted")
          assert.strictEqual(await next(), "error 0")
          assert.deepStrictEqual([await next(), await next(), await next()], [0, 1, 2].map((i) => `message "new${i}"`))
        })
      }),
    30_000
  )

  it.effect("is told by both interfaces that a closed stream has ended, and stops", () =>
    talk(async (port) => {
      const name = freshName()
      await append(port, name, "0")
      await protocolPost(port, name, closing)
      await withSource(`${urlOf(port, name)}?offset=-1`, async (next) => {
        assert.deepStrictEqual([await next(), await next()], ["message 0", "closed"])
        assert.deepStrictEqual([await next(), await next()], ["error 0", "error 2"])
      })
      await withSource(`http://127.0.0.1:${port}/v1/stream/${name}?offset=-1&live=sse`, async (next) => {
        assert.deepStrictEqual([await next(), await next()], ["error 0", "error 2"])
      })
    }), 30_000)
})

it.live(
  "Promise 10: an EventSource whose server lost its memory is told, and reads the events that exist now",
  () =>
    Effect.scoped(Effect.gen(function*() {
      const settings = serverSettings(yield* temporaryDirectory)
      const { port, source } = yield* during(settings, async (port) => {
        await appendNumbers(port, "s", 5)
        const source = eventSource(`${urlOf(port, "s")}?offset=-1`, printing)
        for (let i = 0; i < 5; i++) assert.strictEqual(await source.next(), `message ${i}`)
        return { port, source }
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => source.stop()))
      yield* during({ ...settings, port }, async (port) => {
        await append(port, "s", `"new"`)
        const told: Array<string> = []
        while (told.at(-1) !== `message "new"`) told.push(await source.next())
        assert.include(told, "problem urn:durable-streams:OffsetBeyondTail")
        assert.deepStrictEqual(told.filter((line) => line.startsWith("message")), [`message "new"`])
      })
    })),
  60_000
)
