/**
 * The metrics of a server count what its clients did, under the names that each room gives them.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { Server } from "../../src/durable-streams/server.ts"
import { post, serverSettings, temporaryDirectory } from "../support/served.ts"

/** A series by its name and its attributes: its count, or the number of values of a histogram. */
const read = Effect.map(
  Metric.snapshot,
  (all) =>
    new Map(all.flatMap(({ attributes = {}, id, state }) => {
      const of = Object.entries(attributes).map(([, value]) => value).join(" ")
      const value = "count" in state ? Number(state.count) : "value" in state ? Number(state.value) : undefined
      return value === undefined ? [] : [[`${id.replace("durable_streams_", "")}${of === "" ? "" : ` ${of}`}`, value]]
    }))
)

it.live("a server reports appends, events, flushes, requests, followers, connections and awake streams", () =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const talk = Effect.gen(function*() {
      const { port } = yield* Server
      const follower = yield* Effect.promise(async () => {
        await post(port, "a", `{"data":1}`)
        await post(port, "a", "2\n3", "application/x-ndjson")
        await post(port, "b", "nothing", "text/plain")
        await fetch(`http://127.0.0.1:${port}/streams/none/events`)
        for (const method of ["GET", "HEAD", "HEAD"]) await fetch(`http://127.0.0.1:${port}/streams`, { method })
        await fetch(`http://127.0.0.1:${port}/nowhere`)
        await fetch(`http://127.0.0.1:${port}/nowhere`, { method: "DELETE" })
        return fetch(`http://127.0.0.1:${port}/streams/a?offset=-1`)
      })
      const during = yield* read
      yield* Effect.promise(() => follower.body!.cancel())
      return during
    })
    const settings = { ...serverSettings(directory), storage: "fs", durability: "fsync" } as const
    const told = yield* Effect.provide(talk, Server.layer(settings))
    assert.deepInclude(Object.fromEntries(told), {
      appends: 2,
      events: 3,
      followers: 1,
      "http_requests POST /streams/:name 201": 2,
      "http_requests POST /streams/:name 415": 1,
      "http_requests GET /streams/:name/events 404": 1,
      "http_requests GET /streams 200": 1,
      "http_requests HEAD /streams 200": 2,
      "http_requests any none 404": 2,
      "http_requests GET /streams/:name 200": 1
    })
    // Three events of one length, each with its line feed.
    const event = `{"offset":"0000000000000000","eventStreamId":"a","data":1,"createdAt":"2026-01-08T09:00:00.000Z"}\n`
    assert.strictEqual(told.get("event_bytes"), 3 * event.length)
    assert.isAtLeast(told.get("http_connections")!, 1)
    assert.isAtLeast(told.get("awake_streams")!, 1)
    assert.isAtLeast(told.get("flush_seconds log")!, 1)
    assert.strictEqual(told.get("flush_commits log"), told.get("flush_seconds log"))
    assert.strictEqual(told.get("event_loop_delay_seconds"), 0)
    // The metrics of a server that has ended are not read any more.
    assert.deepStrictEqual([...(yield* read).keys()].filter((name) => !name.startsWith("flush_")), [])
  })).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
