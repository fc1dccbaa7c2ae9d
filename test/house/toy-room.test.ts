/**
 * A room docks from a file that no file of `src` knows: `Server.layer` takes it and its settings, and a program adds the
 * settings to the table of its flags in one line (toy-program.ts).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import * as Path from "node:path"
import { expect } from "vitest"
import { valueOf } from "../../src/domain/setting.ts"
import { Server } from "../../src/durable-streams/server.ts"
import { argumentsOf } from "../../src/durable-streams/server/given-settings.ts"
import { PlainFactory } from "../../src/hooks/stream-factory.ts"
import { root } from "../support/built.ts"
import { it as inRoom } from "../support/room.ts"
import { serverSettings, temporaryDirectory } from "../support/served.ts"
import { withToyRoom } from "./toy-program.ts"
import { toyRoom, toySettings } from "./toy-room.ts"

describe("a room's setting", () => {
  it.live("reaches the room and /health with its given value, or with its default", () =>
    Effect.forEach([{}, { toyMax: 3 }], (asked) =>
      Effect.scoped(Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        const server = Server.layer({ ...serverSettings(directory), ...asked }, PlainFactory, { settings: toySettings })
        yield* Effect.provide(
          Effect.gen(function*() {
            const { port } = yield* Server
            const health = yield* Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}/health`)).json())
            assert.deepStrictEqual((health as { readonly settings: unknown }).settings, { toyMax: 5, ...asked })
          }),
          server
        )
      }))))

  it("has a key that the compiler checks", () => {
    const layers = [
      Server.layer({ toyMax: 2 }, PlainFactory, { settings: toySettings }),
      // @ts-expect-error -- no setting has this key
      Server.layer({ toyMix: 2 }, PlainFactory, { settings: toySettings }),
      // @ts-expect-error -- the server was not given the table
      Server.layer({ toyMax: 2 }, PlainFactory)
    ]
    assert.isTrue(layers.every(Layer.isLayer))
  })

  it.effect("has its default outside of a server", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* valueOf(toySettings.toyMax), 5)
    }))

  it.live("bounds the room, which has a route, a gate, a refusal, headers and a metric of its own", () =>
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const settings = { ...serverSettings(directory), toyMax: 2 }
      const server = Server.layer(settings, PlainFactory, { rooms: toyRoom, settings: toySettings })
      const talk = Effect.gen(function*() {
        const { port } = yield* Server
        const take = (toy: string, child: string) =>
          Effect.promise(() =>
            fetch(`http://127.0.0.1:${port}/toys/${toy}`, {
              method: "POST",
              headers: { "toy-child": child, origin: "http://localhost:5173" }
            })
          )
        const taken = yield* Effect.forEach(["ball", "kite"], (toy) => take(toy, "ada"))
        assert.deepStrictEqual(taken.map(({ headers, status }) => [status, headers.get("toys-left")]), [
          [201, "1"],
          [201, "0"]
        ])
        assert.include(taken[0]!.headers.get("access-control-expose-headers"), "Toys-Left")
        const refused = yield* take("top", "ada")
        assert.deepStrictEqual([refused.status, refused.headers.get("toys-max")], [418, "2"])
        const problem = yield* Effect.promise(() => refused.json())
        assert.deepInclude(problem as object, {
          type: "urn:durable-streams:ToysTaken",
          title: "The child has toys enough",
          child: "ada",
          toyMax: 2
        })
        assert.strictEqual((yield* take("top", "ben")).status, 201)
        const metrics = yield* Metric.snapshot
        const given = metrics.find(({ id }) => id === "durable_streams_toys_given")
        assert.deepStrictEqual(given?.state, { count: 3, incremental: true })
      })
      yield* Effect.provide(talk, server)
    })))

  it("is an argument of a server that a command starts", () => {
    assert.deepStrictEqual(
      argumentsOf(withToyRoom, {
        port: 1,
        toyMax: 7
      }),
      ["--port=1", "--toy-max=7"]
    )
  })

  inRoom("is a flag, a variable, a line of the help, and kept by a restart", async ({ room }) => {
    const program = Path.join(root, "test/house/toy-program.ts")
    const toy = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
      room.spawn(process.execPath, [program, ...args], { env }).ended
    const toyMax = async () =>
      ((await (await fetch(`${room.url}/health`)).json()) as { readonly settings: unknown }).settings
    expect((await toy(["server", "run", "--help"])).stdout).toMatch(
      /\n {2}--toy-max count +Toys of one child \(DURABLE_STREAMS_TOY_MAX\); left out: 5\n/
    )
    expect(await toy(["server", "start", "--toy-max", "0"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("The value \"0\" of --toy-max will not do: it is no whole number from 1 to 100.")
    })
    expect(await toy(["server", "start", "--toy-max", "7"])).toMatchObject({ code: 0 })
    expect(await toyMax()).toEqual({ toyMax: 7 })
    expect(await toy(["server", "restart"])).toMatchObject({ code: 0 })
    expect(await toyMax()).toEqual({ toyMax: 7 })
    expect(await toy(["server", "restart"], { DURABLE_STREAMS_TOY_MAX: "9" })).toMatchObject({ code: 0 })
    expect(await toyMax()).toEqual({ toyMax: 9 })
  })
})
