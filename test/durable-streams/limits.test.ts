/**
 * Limits (docs/decisions/0010-limits.md): an excess is refused with an answer that says so, and the work of others goes
 * on.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { defaultLimits } from "../../src/domain/limits.ts"
import type { Setting } from "../../src/domain/setting.ts"
import type { StreamName } from "../../src/domain/types.ts"
import { argumentsOf } from "../../src/durable-streams/server/given-settings.ts"
import { limitsInForce } from "../../src/durable-streams/server/limits-in-force.ts"
import { settings } from "../../src/durable-streams/server/settings.ts"
import { EventData } from "../../src/event/event-data.ts"
import { fileShares } from "../../src/http-node/file-limit.ts"
import { toBatch } from "../../src/stream/append-batch.ts"
import { freshName } from "../support/names.ts"
import { append, eventTexts, layerServer, listStreams, talk, temporaryDirectory, urlOf } from "../support/served.ts"
import { startServer } from "../support/server-process.ts"
import { SseReader } from "../support/sse-reader.ts"
import { exchange, request, Wire } from "../support/wire.ts"

const problemOf = async (answer: Response) => (await answer.json()) as Readonly<Record<string, unknown>>

const usageOf = async (port: number) => {
  const health = await (await fetch(`http://127.0.0.1:${port}/health`)).json()
  return (health as { readonly usage: Readonly<Record<string, number>> }).usage
}

const until = async (isSo: () => Promise<boolean>) => {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10))
}

layer(layerServer({ streamsMax: 3, producersMax: 2, followersMax: 2 }), { excludeTestServices: true })(
  "a limit",
  (it) => {
    it.effect("of streams: one more is refused with 507, by either API; existing ones go on, and a deleted one makes room", () =>
      talk(async (port) => {
        for (const name of ["a", "b", "c"]) await append(port, name, "1")
        const native = await fetch(urlOf(port, "d"), {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: `{"data":1}`
        })
        assert.strictEqual(native.status, 507)
        assert.strictEqual(native.headers.get("content-type"), "application/problem+json")
        const problem = await problemOf(native)
        assert.strictEqual(problem["limit"], 3)
        assert.include(problem["detail"], "--max-streams")
        const put = () => fetch(`http://127.0.0.1:${port}/v1/stream/d`, { method: "PUT" })
        assert.strictEqual((await put()).status, 507)
        assert.deepStrictEqual(await listStreams(port), ["a", "b", "c"])
        await append(port, "a", "2")
        assert.strictEqual((await usageOf(port))["streams"], 3)
        assert.strictEqual((await fetch(urlOf(port, "b"), { method: "DELETE" })).status, 204)
        assert.strictEqual((await put()).status, 201)
        assert.strictEqual((await put()).status, 200)
        for (const name of ["a", "c", "d"]) await fetch(urlOf(port, name), { method: "DELETE" })
        assert.strictEqual((await usageOf(port))["streams"], 0)
      }))

    it.effect("of producers: a new one is refused with 429, and those that the stream knows go on", () =>
      talk(async (port) => {
        const name = freshName()
        const send = (producer: string, seq: number, epoch = 0) =>
          fetch(urlOf(port, name), {
            method: "POST",
            headers: {
              "content-type": "application/json",
              "producer-id": producer,
              "producer-epoch": `${epoch}`,
              "producer-seq": `${seq}`
            },
            body: `{"data":{"producer":"${producer}","seq":${seq}}}`
          })
        assert.strictEqual((await send("a", 0)).status, 201)
        assert.strictEqual((await send("b", 0)).status, 201)
        const refused = await send("c", 0)
        assert.strictEqual(refused.status, 429)
        const problem = await problemOf(refused)
        assert.strictEqual(problem["limit"], 2)
        assert.include(problem["detail"], "--max-producers")
        assert.strictEqual((await send("a", 1)).status, 201)
        assert.strictEqual((await send("b", 0)).status, 200, "a repetition is known")
        assert.strictEqual((await send("b", 0, 1)).status, 201, "a new epoch is no new producer")
        assert.strictEqual((await eventTexts(port, name)).length, 4)
        await fetch(urlOf(port, name), { method: "DELETE" })
      }))

    it.effect("of followers: one more is refused with 503, whichever way it follows; one that leaves makes room", () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, "1")
        const at = `/streams/${name}`
        const protocol = `/v1/stream/${name}?offset=-1&live=sse`
        const followers = [await SseReader.open(port, at), await SseReader.open(port, protocol)]
        for (const target of [at, protocol, `/v1/stream/${name}?offset=now&live=long-poll`]) {
          const reply = await exchange(port, request("GET", target))
          assert.strictEqual(reply.status, 503, target)
          assert.strictEqual(reply.headers["retry-after"], "1")
          const problem = JSON.parse(reply.body.toString()) as Readonly<Record<string, unknown>>
          assert.strictEqual(problem["limit"], 2)
          assert.include(problem["detail"], "--max-followers")
        }
        const other = await SseReader.open(port, `/streams/${freshName()}`)
        assert.strictEqual(other.status, 200, "another stream's followers are counted apart")
        other.close()
        followers[0]!.close()
        await until(async () => (await usageOf(port))["followers"] === 1)
        const next = await SseReader.open(port, `${at}?offset=-1`)
        assert.include((await next.event()).data, `"data":1`)
        next.close()
        followers[1]!.close()
        await until(async () => (await usageOf(port))["followers"] === 0)
        await fetch(urlOf(port, name), { method: "DELETE" })
      }))
  }
)

layer(layerServer({ connectionsMax: 3 }), { excludeTestServices: true })("a limit of connections", (it) => {
  it.effect("refuses one more with 503, and closes it; health is answered there, and one that leaves makes room", () =>
    talk(async (port) => {
      const wires = await Promise.all(Array.from({ length: 3 }, () => Wire.open(port)))
      for (const wire of wires) assert.strictEqual((await wire.send(request("GET", "/streams")).reply()).status, 200)
      const one = await Wire.open(port)
      const body = `{"data":1}`
      const reply = await one.send(
        request("POST", "/streams/x", { "Content-Type": "application/json" }, body)
      ).reply()
      assert.strictEqual(reply.status, 503)
      assert.strictEqual(reply.headers["connection"], "close")
      assert.include(reply.body.toString(), `"limit":3`)
      assert.include(reply.body.toString(), "--max-connections")
      assert.isTrue(await one.ended())
      const health = await exchange(port, request("GET", "/health"))
      assert.strictEqual(health.status, 200)
      assert.include(health.body.toString(), `"connections":3`)
      assert.strictEqual((await wires[0]!.send(request("GET", "/streams")).reply()).body.toString(), `{"streams":[]}`)
      wires[1]!.close()
      await until(async () => (await usageOf(port))["connections"]! < 3)
      assert.strictEqual((await exchange(port, request("GET", "/streams"))).status, 200)
      for (const wire of wires) wire.close()
    }))
})

layer(layerServer({ headersMillis: 200, requestMillis: 600 }), { excludeTestServices: true })(
  "a limit of time",
  (it) => {
    it.effect("refuses headers and bodies that do not come, with 408 in their time", () =>
      talk(async (port) => {
        const closed = async (bytes: string) => {
          const from = performance.now()
          const wire = (await Wire.open(port)).send(bytes)
          const reply = await wire.reply()
          wire.close()
          return [reply.status, performance.now() - from] as const
        }
        const [headers, body] = await Promise.all([
          closed("GET /streams HTTP/1.1\r\nHost: localhost\r\n"),
          closed(
            "POST /streams/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
          )
        ])
        for (const [status, millis] of [headers, body]) {
          assert.strictEqual(status, 408)
          assert.isBelow(millis, 5_000)
        }
      }))
  }
)

describe("a follower that reads nothing", () => {
  it.live(
    "is dropped after its time, and gets all of it when it comes back",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        yield* Effect.acquireUseRelease(
          Effect.promise(() =>
            startServer(directory, "--storage=memory", "--stall-timeout=500ms", "--max-body=8000000")
          ),
          (server) =>
            Effect.promise(async () => {
              const follower = await SseReader.open(server.port, "/streams/s")
              const other = await SseReader.open(server.port, "/streams/other")
              follower.wire.socket.pause()
              // More than the system buffers for a client.
              for (let i = 0; i < 3; i++) await append(server.port, "s", `"${"x".repeat(7_000_000)}"`)
              await until(async () => (await usageOf(server.port))["followers"] === 1)
              follower.wire.close()
              assert.strictEqual((await eventTexts(server.port, "s")).length, 3)
              await append(server.port, "other", "1")
              assert.include((await other.event()).data, `"data":1`, "whoever has nothing to take is not dropped")
              other.close()
            }),
          (server) => Effect.promise(() => server.kill())
        )
      })),
    20_000
  )
})

describe("a setting of a limit", () => {
  it("is passed on to a daemon as it is written", () => {
    assert.strictEqual(read(settings.stallMillis, "30"), 30_000)
    assert.strictEqual(read(settings.stallMillis, "250ms"), 250)
    assert.strictEqual(read(settings.streamsMax, "500"), 500)
    for (const text of ["0", "-1", "", "1e3", "30s", "999999999"]) {
      assert.isUndefined(read(settings.streamsMax, text), text)
    }
    for (const text of ["0", "2h", "soon"]) assert.isUndefined(read(settings.headersMillis, text), text)
    assert.strictEqual(settings.followersMax.variable, "DURABLE_STREAMS_MAX_FOLLOWERS")
    assert.deepStrictEqual(argumentsOf(settings, { stallMillis: 250, streamsMax: 5 }), [
      "--stall-timeout=250ms",
      "--max-streams=5"
    ])
  })

  it("of connections leaves descriptors for logs, however few there are", () => {
    // Node's own, the lock, the journal, a directory that is listed, a log that is read while it is made.
    const reserve = 32
    for (let files = 128; files <= 20_000; files++) {
      const { beyond, connections, logs, webhooks } = fileShares(files)
      assert.isAtLeast(Math.min(beyond, connections, logs, webhooks), 1)
      assert.isAtMost(connections + beyond + logs + webhooks + reserve, files, `${files} files`)
    }
    const shares = [1_024, 4_096, 16_384, 2 ** 20, Infinity].map(fileShares)
    assert.deepStrictEqual(shares.map(({ logs }) => logs), [512, 1_024, 4_096, 4_096, 4_096])
    const { beyond, connections, logs, webhooks } = fileShares(64)
    assert.isBelow(connections + beyond + logs + webhooks, 64)
    // The system does not say how many there are.
    assert.strictEqual(fileShares(Infinity).webhooks, 64)
    assert.deepStrictEqual(limitsInForce({ connectionsMax: 500 }, 320), { ...defaultLimits, connectionsMax: 320 })
    const megabyte = 1024 * 1024
    assert.strictEqual(limitsInForce({}, 320, 448 * megabyte).awakeMax, 3_584)
    assert.strictEqual(limitsInForce({}, 320, 8_192 * megabyte).awakeMax, defaultLimits.awakeMax)
    assert.strictEqual(limitsInForce({ awakeMax: 5 }, 320, 448 * megabyte).awakeMax, 5)
    assert.strictEqual(limitsInForce({ requestMillis: 5_000 }, 320).headersMillis, 5_000)
  })

  it("producers of one commit are counted with those before it", () => {
    const data = [EventData.fromValue(1)]
    const entries = ["a", "b", "c"].map((id) => ({
      kind: "append" as const,
      request: { data, producer: { id, epoch: 0, seq: 0 } },
      bytes: 1,
      done: () => {}
    }))
    const before = {
      name: "s" as StreamName,
      contentType: "application/json",
      description: undefined,
      tail: 0,
      state: new Map([["producer:z", "[0,0]"]]),
      producers: () => 1,
      producersMax: 3
    }
    const { accepted, settled } = toBatch(before, entries, "2024-01-08T00:00:00.000Z")
    assert.strictEqual(accepted.length, 2)
    assert.deepStrictEqual(settled.map(([{ request }]) => request.producer?.id), ["c"])
  })
})

const read = <A>(setting: Setting<A>, text: string) => Option.getOrUndefined(Result.getSuccess(setting.read(text)))
