/**
 * The documented native API (docs/protocol.md), route by route: statuses, headers and bodies, to the letter.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Health } from "../../src/api/wire.ts"
import type { StreamName } from "../../src/domain/types.ts"
import { identityOf } from "../../src/durable-streams/daemon/process-identity.ts"
import { Server } from "../../src/durable-streams/server.ts"
import { ValidatedFactory } from "../../src/hooks/stream-factory.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { freshName, offsetOf } from "../support/names.ts"
import { append, appendNumbers, eventTexts, layerServer, listStreams, post, talk, urlOf } from "../support/served.ts"
import { SseReader } from "../support/sse-reader.ts"
import { exchange, json, request } from "../support/wire.ts"

const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`

for (const storage of ["memory", "fs"] as const) {
  layer(layerServer({ storage }), { excludeTestServices: true })(`the native API (${storage})`, (it) => {
    it.effect("Promise 1: an append answers 201 and the event, whose offset is its number in 16 digits", () =>
      talk(async (port) => {
        const name = freshName()
        for (let i = 0; i < 12; i++) {
          const answer = await post(port, name, `{"data": {"type": "message", "text": "hello"}}`)
          assert.strictEqual(answer.status, 201)
          assert.strictEqual(answer.headers.get("content-type"), "application/json")
          const text = await answer.text()
          const data = `\\{"type": "message", "text": "hello"\\}`
          const event = `^\\{"offset":"${
            offsetOf(i)
          }","eventStreamId":"${name}","data":${data},"createdAt":"${time}"\\}$`
          assert.match(text, new RegExp(event))
          assert.strictEqual(answer.headers.get("content-length"), String(text.length))
        }
      }))

    it.effect("an append of NDJSON is one commit, and answers 201 and its receipt", () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, "0")
        const answer = await post(port, name, "1\n\n{\"a\":2}\r\n\"three\"\n", "application/x-ndjson; charset=utf-8")
        assert.strictEqual(answer.status, 201)
        assert.strictEqual(answer.headers.get("content-type"), "application/json")
        assert.strictEqual(
          await answer.text(),
          `{"eventStreamId":"${name}","count":3,"offset":"${offsetOf(1)}","nextOffset":"${offsetOf(4)}"}`
        )
        const events = (await eventTexts(port, name)).map((text) => JSON.parse(text) as Record<string, unknown>)
        assert.deepStrictEqual(events.map(({ data }) => data), [0, 1, { a: 2 }, "three"])
        assert.strictEqual(new Set(events.slice(1).map(({ createdAt }) => createdAt)).size, 1)
      }))

    it.effect("If-Match appends only at the tail, bare or as an entity tag; else 412 names the tail", () =>
      talk(async (port) => {
        const name = freshName()
        const at = (offset: string) =>
          exchange(port, request("POST", `/streams/${name}`, { ...json, "If-Match": offset }, `{"data":1}`))
        assert.strictEqual((await at("0")).status, 201)
        assert.strictEqual((await at(`"${offsetOf(1)}"`)).status, 201)
        const refused = await at("1")
        assert.strictEqual(refused.status, 412)
        assert.deepStrictEqual(JSON.parse(refused.body.toString()), {
          type: "urn:durable-streams:TailMismatch",
          title: "The stream has moved on",
          status: 412,
          detail: `The stream "${name}" has moved on: the tail is ${offsetOf(2)}, not ${offsetOf(1)}.`,
          stream: name,
          expected: offsetOf(1),
          tail: offsetOf(2)
        })
        assert.strictEqual((await eventTexts(port, name)).length, 2)
      }))

    it.effect("of many writers who append at one expected tail, exactly one succeeds", () =>
      talk(async (port) => {
        const name = freshName()
        const bytes = request("POST", `/streams/${name}`, { ...json, "If-Match": offsetOf(0) }, `{"data":1}`)
        const statuses = (await Promise.all(Array.from({ length: 20 }, () => exchange(port, bytes)))).map((r) =>
          r.status
        )
        assert.deepStrictEqual(statuses.toSorted((a, b) => a - b), [201, ...Array.from({ length: 19 }, () => 412)])
      }))

    it.effect("a closed stream takes no more, and says so with 409", () =>
      Effect.gen(function*() {
        const name = freshName()
        const manager = yield* StreamManager
        yield* talk((port) => append(port, name, "1"))
        yield* manager.append(name as StreamName, { data: [], close: true })
        yield* talk(async (port) => {
          const answer = await post(port, name, `{"data":2}`)
          assert.strictEqual(answer.status, 409)
          const problem = (await answer.json()) as Record<string, unknown>
          assert.strictEqual(problem["type"], "urn:durable-streams:StreamClosed")
          assert.strictEqual(problem["tail"], offsetOf(1))
        })
      }))

    it.effect("a following is Server-Sent Events: an id and the event in each frame, to the letter", () =>
      talk(async (port) => {
        const name = freshName()
        const texts = [await append(port, name, "0"), await append(port, name, "1"), await append(port, name, "2")]
        const follower = await SseReader.open(port, `/streams/${name}?offset=-1`)
        assert.strictEqual(follower.status, 200)
        assert.strictEqual(follower.headers["content-type"], "text/event-stream; charset=utf-8")
        assert.strictEqual(follower.headers["cache-control"], "no-store")
        assert.strictEqual(follower.headers["x-accel-buffering"], "no")
        assert.strictEqual(follower.headers["stream-next-offset"], offsetOf(0))
        for (const [i, text] of texts.entries()) {
          assert.strictEqual((await follower.frame())?.text, `id: ${offsetOf(i)}\ndata: ${text}`)
        }
        follower.close()
      }))

    it.effect("a following begins at its offset or its place to resume", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 5)
        const cases: ReadonlyArray<readonly [query: string, headers: Record<string, string>, from: number]> = [
          ["", {}, 5],
          ["?offset=now", {}, 5],
          ["?offset=-1", {}, 0],
          ["?offset=beginning", {}, 0],
          ["?offset=0", {}, 0],
          ["?offset=3", {}, 3],
          [`?offset=${offsetOf(3)}`, {}, 3],
          ["?offset=5", {}, 5],
          ["?tail=2", {}, 3],
          ["?tail=99", {}, 0],
          ["?since=1h", {}, 0],
          ["?since=2999-01-01T00:00:00Z", {}, 5],
          ["?tail=2&offset=4", {}, 4],
          ["?tail=2&offset=1", {}, 3],
          ["", { "Last-Event-ID": "-1" }, 0],
          ["", { "Last-Event-ID": "0" }, 1],
          ["", { "Last-Event-ID": offsetOf(3) }, 4],
          ["", { "Last-Event-ID": offsetOf(4) }, 5],
          ["?offset=-1", { "Last-Event-ID": "2" }, 3],
          ["?offset=now", { "Last-Event-ID": "2" }, 3]
        ]
        const followers = await Promise.all(cases.map(async ([query, headers, from]) => {
          const follower = await SseReader.open(port, `/streams/${name}${query}`, headers)
          const what = `${query} ${JSON.stringify(headers)}`
          assert.strictEqual(follower.headers["stream-next-offset"], offsetOf(from), what)
          const first = await follower.frame()
          // A resume, and a following with nothing to catch up, begin with their place.
          const isTold = from === 5 || headers["Last-Event-ID"] !== undefined
          if (isTold) {
            assert.deepStrictEqual(
              [first?.event, first?.id],
              ["connected", from === 0 ? "-1" : offsetOf(from - 1)],
              what
            )
          } else assert.strictEqual(first?.id, offsetOf(from), what)
          return { follower, left: isTold ? 5 - from : 4 - from, what }
        }))
        const live = await append(port, name, "5")
        for (const { follower, left, what } of followers) {
          await follower.events(left)
          assert.strictEqual((await follower.event()).data, live, what)
          follower.close()
        }
      }))

    it.effect("events are read oldest first, from an offset, up to a limit, the last N, or since a time", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 5)
        const texts = await eventTexts(port, name)
        const start = new Date(Date.now() - 3_600_000).toISOString()
        const cases: ReadonlyArray<readonly [query: string, from: number, to: number]> = [
          ["", 0, 5],
          ["?offset=-1", 0, 5],
          ["?offset=beginning", 0, 5],
          ["?offset=now", 5, 5],
          [`?offset=${offsetOf(2)}`, 2, 5],
          ["?offset=2&limit=2", 2, 4],
          ["?limit=1", 0, 1],
          ["?limit=99", 0, 5],
          ["?offset=5", 5, 5],
          ["?tail=2", 3, 5],
          ["?tail=99", 0, 5],
          ["?tail=3&limit=1", 2, 3],
          ["?tail=2&offset=4", 4, 5],
          ["?since=1h", 0, 5],
          ["?since=90s", 0, 5],
          ["?since=1h30m", 0, 5],
          ["?since=2d", 0, 5],
          [`?since=${start}`, 0, 5],
          ["?since=2999-01-01T00:00:00Z", 5, 5],
          ["?since=2999-01-01T00:00:00%2B02:00", 5, 5],
          ["?since=1970-01-01T00:00:00Z&offset=3", 3, 5]
        ]
        for (const [query, from, to] of cases) {
          const answer = await fetch(`${urlOf(port, name)}/events${query}`)
          assert.strictEqual(answer.status, 200, query)
          assert.strictEqual(answer.headers.get("content-type"), "application/json")
          assert.strictEqual(await answer.text(), `{"events":[${texts.slice(from, to).join(",")}]}`, query)
          const lines = await fetch(`${urlOf(port, name)}/events${query}`, {
            headers: { accept: "application/x-ndjson" }
          })
          assert.strictEqual(lines.headers.get("content-type"), "application/x-ndjson; charset=utf-8")
          assert.strictEqual(await lines.text(), texts.slice(from, to).map((text) => `${text}\n`).join(""), query)
        }
      }))

    it.effect("a large answer is streamed, and is the same bytes", () =>
      talk(async (port) => {
        const name = freshName()
        const payload = `"${"x".repeat(100_000)}"`
        const texts: Array<string> = []
        for (let i = 0; i < 30; i++) texts.push(await append(port, name, payload))
        const answer = await fetch(`${urlOf(port, name)}/events`)
        assert.strictEqual(answer.headers.get("transfer-encoding"), "chunked")
        assert.isTrue((await answer.text()) === `{"events":[${texts.join(",")}]}`, "other bytes")
        assert.isTrue((await eventTexts(port, name)).join() === texts.join(), "other lines")
      }))

    it.effect("an unknown stream has no events and cannot be deleted: 404", () =>
      talk(async (port) => {
        const name = freshName()
        for (const [method, target] of [["GET", "/events"], ["GET", "/events?tail=1"], ["DELETE", ""]] as const) {
          const reply = await exchange(port, request(method, `/streams/${name}${target}`))
          assert.strictEqual(reply.status, 404)
          const problem = JSON.parse(reply.body.toString()) as Record<string, unknown>
          assert.strictEqual(problem["type"], "urn:durable-streams:StreamNotFound")
          assert.strictEqual(problem["stream"], name)
        }
      }))

    it.effect("a deletion answers 204 without a body, and a stream made again begins at offset 0", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 3)
        const reply = await exchange(port, request("DELETE", `/streams/${name}`))
        assert.strictEqual(reply.status, 204)
        assert.isUndefined(reply.headers["content-length"])
        assert.notInclude(await listStreams(port), name)
        assert.strictEqual((await exchange(port, request("DELETE", `/streams/${name}`))).status, 404)
        assert.include(await append(port, name, "1"), offsetOf(0))
        assert.strictEqual((await eventTexts(port, name)).length, 1)
      }))

    it.effect("streams are listed sorted, by prefix, after a name, up to a limit", () =>
      talk(async (port) => {
        const names = ["b", "a/2", "a/1", "a", "a/10", "a-", "Z", "é", "a/"].map((name) => `list/${name}`)
        for (const name of names) await append(port, name, "1")
        const sorted = names.toSorted((a, b) => a < b ? -1 : 1)
        const list = (query: string) => listStreams(port, `?prefix=list%2F${query}`)
        assert.deepStrictEqual(await list(""), sorted)
        assert.deepStrictEqual(await list("a%2F"), ["list/a/", "list/a/1", "list/a/10", "list/a/2"])
        assert.deepStrictEqual(await list("none"), [])
        assert.deepStrictEqual(await list("&limit=2"), sorted.slice(0, 2))
        const pages: Array<string> = []
        for (let page = await list("&limit=2"); page.length > 0;) {
          pages.push(...page)
          page = await list(`&limit=2&after=${encodeURIComponent(page.at(-1)!)}`)
        }
        assert.deepStrictEqual(pages, sorted)
        // A name that does not exist has its place, too.
        assert.deepStrictEqual(await list("&after=list%2Fa%2F11"), sorted.slice(sorted.indexOf("list/a/2")))
        for (const name of names) await fetch(urlOf(port, name), { method: "DELETE" })
      }))

    it.effect("HEAD is answered as GET is, without the body", () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, "1")
        for (const target of [`/streams/${name}/events`, "/streams", "/health", "/openapi.json", "/docs", "/nothing"]) {
          const [get, head] = [
            await exchange(port, request("GET", target)),
            await exchange(port, request("HEAD", target))
          ]
          assert.strictEqual(head.status, get.status, target)
          assert.strictEqual(head.headers["content-type"], get.headers["content-type"], target)
          assert.strictEqual(head.headers["content-length"], get.headers["content-length"], target)
        }
        const follow = await exchange(port, request("HEAD", `/streams/${name}`))
        assert.strictEqual(follow.headers["content-type"], "text/event-stream; charset=utf-8")
      }))

    it.effect("health says who this server is", () =>
      talk(async (port) => {
        const health = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as Record<string, unknown>
        const { dataDirectory, limits, process: identity, startedAt, uptimeSeconds, usage, ...rest } = health
        assert.deepStrictEqual(rest, {
          status: "ok",
          pid: process.pid,
          version: "0.1.0",
          host: "127.0.0.1",
          storage,
          durability: storage === "memory" ? "none" : "os",
          bodyBytesMax: 1024 * 1024,
          corsOrigins: [],
          allowHosts: [],
          longPollMillis: 30_000
        })
        const { awakeMax, connectionsMax, ...others } = limits as Health["limits"]
        assert.isAtLeast(connectionsMax, 1)
        assert.isAtLeast(awakeMax!, 1)
        assert.deepStrictEqual(others, {
          bodyBytesMax: 1024 * 1024,
          bodiesBytesMax: 64 * 1024 * 1024,
          headersMillis: 10_000,
          requestMillis: 30_000,
          stallMillis: 60_000,
          followersMax: 10_000,
          streamsMax: 100_000,
          producersMax: 10_000,
          fixed: {
            appendEventsMax: 32_768,
            waitingBytesMax: 64 * 1024 * 1024,
            subscriptionsMax: 10_000,
            linksMax: 10_000
          }
        })
        assert.hasAllKeys(usage, ["connections", "followers", "awakeStreams", "streams"])
        assert.match(String(dataDirectory), /^\/.*\/data$/)
        assert.strictEqual(identity, identityOf(process.pid))
        assert.match(String(startedAt), new RegExp(`^${time}$`))
        assert.isAtLeast(uptimeSeconds as number, 0)
      }))

    it.effect("no stream stays awake that does not exist, or not any more", () =>
      talk(async (port) => {
        const awake = async () => {
          const { usage } = JSON.parse((await exchange(port, request("GET", "/health"))).body.toString())
          return usage.awakeStreams as number
        }
        const before = await awake()
        for (let i = 0; i < 20; i++) {
          await exchange(port, request("GET", `/streams/never-${i}/events`))
          await exchange(port, request("HEAD", `/v1/stream/never-${i}`))
          await exchange(port, request("DELETE", `/streams/never-${i}`))
          await exchange(port, request("POST", `/streams/once-${i}`, json, `{"data":${i}}`))
          await exchange(port, request("DELETE", `/streams/once-${i}`))
        }
        assert.strictEqual(await awake(), before)
      }))

    it.effect("every answer tells browsers not to guess its type and not to embed it", () =>
      talk(async (port) => {
        for (const target of ["/streams", "/health", "/docs", "/nothing", "/streams/x/events?limit=0"]) {
          const { headers } = await exchange(port, request("GET", target))
          assert.strictEqual(headers["x-content-type-options"], "nosniff", target)
          assert.strictEqual(headers["cross-origin-resource-policy"], "same-origin", target)
        }
      }))
  })
}

layer(layerServer({}, ValidatedFactory), {
  excludeTestServices: true
})("hooks", (it) => {
  it.effect("Promise 11: a request that a hook refuses is 422, the answer names the hook, and nothing of the request is kept", () =>
    Effect.gen(function*() {
      const { port } = yield* Server
      yield* Effect.promise(async () => {
        for (
          const [body, type] of [[`{"data":{"text":1}}`, "json"], [`{"_type":"ok"}\n{"text":1}`, "x-ndjson"]] as const
        ) {
          const answer = await post(port, "hooked", body, `application/${type}`)
          assert.strictEqual(answer.status, 422)
          assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
          const problem = (await answer.json()) as Record<string, unknown>
          assert.strictEqual(problem["hookId"], "validate-type")
          assert.strictEqual(problem["detail"], "Data must have a _type field that is a string")
        }
        assert.deepStrictEqual(await listStreams(port), [])
        assert.include(await append(port, "hooked", `{"_type":"ok"}`), offsetOf(0))
      })
    }))
})
