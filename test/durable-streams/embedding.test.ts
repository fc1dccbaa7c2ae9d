/**
 * The server inside another program, as the README shows it.
 */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { expect } from "vitest"
import type { BeforeAppendHook } from "../../src/durable-streams/index.ts"
import {
  EventData,
  HookError,
  json,
  layerMemory,
  PlainFactory,
  Router,
  Server,
  StreamFactory,
  StreamManager,
  StreamName
} from "../../src/durable-streams/index.ts"
import { root } from "../support/built.ts"
import { it as inRoom, until } from "../support/room.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "durable-streams-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
)

const smallOnly: BeforeAppendHook = {
  id: "small-only",
  run: ({ data }) =>
    JSON.stringify(data).length <= 1000
      ? Effect.void
      : Effect.fail(new HookError({ hookId: "small-only", message: "Events here are small" }))
}

const post = (port: number, body: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/streams/orders`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body
    })
    return { status: response.status, body: await response.json() as Record<string, unknown> }
  })

it.live("a program that embeds the server shares its streams with clients that come over HTTP", () =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const program = Effect.gen(function*() {
      const streams = yield* StreamManager
      const { port } = yield* Server
      yield* streams.append(StreamName.make("orders"), { data: [EventData.fromValue({ id: 1 })] })
      const answer = yield* post(port, `{"data":{"id":2}}`)
      assert.strictEqual(answer.body["offset"], "0000000000000001")
      const stream = yield* streams.get(StreamName.make("orders"))
      const events = yield* Stream.runCollect(Stream.take(stream.subscribe("beginning"), 2))
      assert.deepStrictEqual(events.map((event) => event.data), [{ id: 1 }, { id: 2 }])
    })
    yield* Effect.scoped(Effect.provide(program, Server.layer({ dataDirectory: directory, port: 0 }, PlainFactory)))
  })))

it.live("a hook of the program refuses an append over HTTP with 422 and its name, and nothing is stored", () =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const program = Effect.gen(function*() {
      const { port } = yield* Server
      const refused = yield* post(port, JSON.stringify({ data: "x".repeat(2000) }))
      assert.strictEqual(refused.status, 422)
      assert.strictEqual(refused.body["hookId"], "small-only")
      assert.strictEqual((yield* post(port, `{"data":1}`)).body["offset"], "0000000000000000")
    })
    const server = Server.layer(
      { dataDirectory: directory, port: 0 },
      StreamFactory.layerWith({ beforeAppend: [smallOnly] })
    )
    yield* Effect.provide(program, server)
  })))

const fail = () => {
  throw new Error("a secret of the route")
}

it.live("a route that throws is answered with a number and without its words, and the server goes on", () =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const rooms = Router.room(Effect.succeed({
      routes: [
        { method: "GET", path: "/throws", handle: fail },
        { method: "GET", path: "/throws-later", handle: () => ({ answerUnsafe: fail }) }
      ]
    }))
    const program = Effect.gen(function*() {
      const { port } = yield* Server
      const get = (path: string) =>
        Effect.promise(async () => {
          const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5_000) })
          return `${answer.status} ${await answer.text()}`
        })
      for (const path of ["/throws", "/throws-later"]) {
        const answer = yield* get(path)
        assert.match(answer, /^500 .*"requestId":"/)
        assert.notInclude(answer, "secret")
      }
      assert.match(yield* get("/streams"), /^200 /)
    })
    yield* Effect.provide(program, Server.layer({ dataDirectory: directory, port: 0 }, PlainFactory, { rooms }))
  })))

it.live("a route of the program counts rather than the server's, also when the server has much to open at its start", () =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const root = "/v1/stream/__ds"
    const rooms = Router.room(
      Effect.succeed({
        routes: [{ method: "GET", path: `${root}/*`, handle: () => Effect.succeed(json(200, `"own"`)) }]
      })
    )
    const program = Effect.gen(function*() {
      const { port } = yield* Server
      return yield* Effect.promise(async () => {
        const url = `http://127.0.0.1:${port}${root}`
        await fetch(`${url}/subscriptions/s`, {
          method: "PUT",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ type: "pull-wake", streams: ["a"], wake_stream: "w", lease_ttl_ms: 1_000 })
        })
        return (await fetch(`${url}/jwks.json`)).text()
      })
    })
    for (const start of ["without subscriptions", "with a stored subscription"]) {
      const answer = yield* Effect.provide(
        program,
        Server.layer({ dataDirectory: directory, port: 0 }, PlainFactory, { rooms })
      )
      assert.strictEqual(answer, `"own"`, start)
    }
  })))

it.live("a second server that would share the streams of the first one is refused, and says what to write", () =>
  Effect.scoped(Effect.gen(function*() {
    const [one, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
    const second = Server.layer({ dataDirectory: other, port: 0 })
    const program = Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(second)))
      assert.match(String(exit), /Layer\.fresh/)
      const { port } = Context.get(yield* Layer.build(Layer.fresh(second)), Server)
      assert.strictEqual((yield* post(port, `{"data":1}`)).status, 201)
    })
    yield* Effect.provide(program, Server.layer({ dataDirectory: one, port: 0 }))
    assert.isFalse(fs.existsSync(path.join(one, "streams/orders.json")))
    assert.isTrue(fs.existsSync(path.join(other, "streams/orders.json")))
  })))

it.effect("streams work without a network, over any storage", () =>
  Effect.gen(function*() {
    const streams = yield* StreamManager
    yield* streams.append(StreamName.make("a"), { data: [EventData.fromText("1")] })
    assert.deepStrictEqual(yield* streams.list(), [StreamName.make("a")])
  }).pipe(
    Effect.provide(
      StreamManager.layer.pipe(Layer.provide(PlainFactory), Layer.provide(layerMemory))
    )
  ))

inRoom("the example of the README is five lines, and serves as it stands, without any settings", async ({ room }) => {
  const readme = fs.readFileSync(path.join(root, "README.md"), "utf8")
  const code = /## Inside your program[^]*?```ts\n([^]*?)```/.exec(readme)?.[1] ?? ""
  expect(code.split("\n").filter((line) => line !== "")).toHaveLength(5)
  const modules = path.join(room.directory, "node_modules")
  const library = path.join(modules, "durable-streams")
  fs.mkdirSync(library, { recursive: true })
  fs.symlinkSync(path.join(root, "node_modules/effect"), path.join(modules, "effect"))
  fs.writeFileSync(path.join(library, "package.json"), JSON.stringify({ type: "module", exports: "./index.js" }))
  const index = path.join(root, "src/durable-streams/index.ts")
  fs.writeFileSync(path.join(library, "index.js"), `export * from ${JSON.stringify(index)}\n`)
  fs.writeFileSync(path.join(room.directory, "serve.mts"), code)
  const running = room.spawn(process.execPath, ["serve.mts"], {})
  const log = path.join(room.dataDirectory, "streams/orders.json")
  await until(() => fs.existsSync(log) && fs.readFileSync(log, "utf8").includes(`{"id":1}`), () => running.stderr)
  // It holds the lock of its directory, as every server does.
  expect(await room.ds(["server", "run"])).toMatchObject({ code: 5 })
  running.kill("SIGKILL")
  await running.ended
})
