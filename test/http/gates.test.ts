/**
 * Gates on a whole server: their order, the context they give to routes and hooks, and their refusals.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import { Refusal } from "../../src/domain/refusal.ts"
import { Server } from "../../src/durable-streams/server.ts"
import { PlainFactory, StreamFactory } from "../../src/hooks/stream-factory.ts"
import { json } from "../../src/http/exchange.ts"
import { Caller, callerOf, type Gate } from "../../src/http/gates.ts"
import { Router } from "../../src/http/router.ts"
import { serverSettings, temporaryDirectory } from "../support/served.ts"

class TooEager extends Refusal<TooEager>()(
  "TooEager",
  { caller: Schema.String },
  { status: 429, title: "Too eager", headers: () => ({ "retry-after": 1 }) }
) {
  override get message() {
    return `${this.caller} asks too often. Wait a second.`
  }
}

const nameCaller: Gate = {
  stage: "caller",
  pass: (request) => Effect.succeed(Context.make(Caller, request.header("x-caller")))
}

/** A server with these gates, each of a room of its own, and a route that names the caller. */
const serverWith = <A>(
  gates: ReadonlyArray<Gate>,
  talk: (url: string) => Promise<A>,
  factory: typeof PlainFactory = PlainFactory
) =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const whoami = Router.room(Effect.succeed({
      gates,
      routes: [{
        method: "GET",
        path: "/whoami",
        handle: (request) => Effect.succeed(json(200, JSON.stringify(callerOf(request) ?? null)))
      }]
    }))
    const server = Server.layer(serverSettings(directory), factory, { rooms: whoami })
    const conversation = Effect.flatMap(Server, ({ port }) => Effect.promise(() => talk(`http://127.0.0.1:${port}`)))
    return yield* Effect.provide(conversation, server)
  }))

const appendByEveryWay = async (url: string) => {
  const headers = { "content-type": "application/json", "x-caller": "ada" }
  await fetch(`${url}/v1/stream/s`, { method: "PUT", headers, body: "[1]" })
  await fetch(`${url}/v1/stream/s`, { method: "POST", headers, body: "[2]" })
  await fetch(`${url}/streams/s`, { method: "POST", headers, body: `{"data":3}` })
  const { "x-caller": _, ...unnamed } = headers
  await fetch(`${url}/streams/s`, { method: "POST", headers: unnamed, body: `{"data":4}` })
}

describe("Gates", () => {
  it.live("are asked by their stages, whatever the order of the rooms, and each sees what those before it told", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const allowance: Gate = {
        stage: "allowance",
        pass: (_, context) => Effect.sync(() => void seen.push(`allowance of ${Context.get(context, Caller)}`))
      }
      const caller: Gate = {
        stage: "caller",
        pass: () =>
          Effect.as(
            Effect.andThen(Effect.yieldNow, Effect.sync(() => void seen.push("caller"))),
            Context.make(Caller, "ada")
          )
      }
      const told = yield* serverWith([allowance, caller], async (url) => (await fetch(`${url}/whoami`)).json())
      assert.strictEqual(told, "ada")
      assert.deepStrictEqual(seen, ["caller", "allowance of ada"])
    }))

  it.live("leave a preflight to the first stage, and a page reads the refusal of a later one", () =>
    Effect.gen(function*() {
      const refuse: Gate = { stage: "allowance", pass: () => Effect.fail(new TooEager({ caller: "ada" })) }
      const [preflight, page, stranger] = yield* serverWith([refuse], (url) =>
        Promise.all([
          fetch(`${url}/whoami`, {
            method: "OPTIONS",
            headers: { origin: "http://localhost:5173", "access-control-request-method": "GET" }
          }),
          fetch(`${url}/whoami`, { headers: { origin: "http://localhost:5173" } }),
          fetch(`${url}/whoami`, { headers: { origin: "https://evil.example" } })
        ]))
      assert.strictEqual(preflight.status, 204)
      assert.deepStrictEqual(
        [page.status, page.headers.get("retry-after"), page.headers.get("access-control-allow-origin")],
        [429, "1", "http://localhost:5173"]
      )
      assert.deepStrictEqual([stranger.status, stranger.headers.get("access-control-allow-origin")], [403, null])
    }))

  it.live("that fail by a mistake are answered with a number, and the server goes on", () =>
    Effect.gen(function*() {
      const mistake: Gate = {
        stage: "caller",
        pass: (request) => {
          if (request.header("x-caller") === "at once") throw new Error("a secret of the gate")
          if (request.header("x-caller") === "now") return Effect.die(new Error("a secret of the gate"))
          return request.header("x-caller") === "later"
            ? Effect.andThen(Effect.yieldNow, Effect.die(new Error("a secret of the gate")))
            : Effect.void
        }
      }
      const [atOnce, now, later, none] = yield* serverWith([mistake], (url) =>
        Promise.all(["at once", "now", "later", "none"].map(async (caller) => {
          const answer = await fetch(`${url}/whoami`, {
            headers: { "x-caller": caller },
            signal: AbortSignal.timeout(5_000)
          })
          return `${answer.status} ${await answer.text()}`
        })))
      for (const answer of [atOnce, now, later]) {
        assert.match(answer!, /^500 .*"requestId":"/)
        assert.notInclude(answer!, "secret")
      }
      assert.strictEqual(none, "200 null")
    }))

  it.live("tell hooks the caller of an append, by every way to append", () =>
    Effect.gen(function*() {
      const seen: Array<readonly [data: unknown, by: string | undefined]> = []
      const factory = StreamFactory.layerWith({
        beforeAppend: [{ id: "see", run: ({ by, data }) => Effect.sync(() => void seen.push([data, by])) }]
      })
      yield* serverWith([nameCaller], appendByEveryWay, factory)
      assert.deepStrictEqual(seen, [[1, "ada"], [2, "ada"], [3, "ada"], [4, undefined]])
    }))
})
