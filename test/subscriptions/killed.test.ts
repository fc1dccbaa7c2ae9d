/**
 * A server that is killed while its subscriptions work, with all that this takes: a process, files, and SIGKILL.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { offsetOf } from "../support/names.ts"
import { Target } from "../support/target.ts"

let target: Target
beforeAll(async () => {
  target = await Target.start("fs")
})
afterAll(() => target.stop())

const say = async (method: string, name: string, body?: unknown, token?: string) => {
  const answer = await fetch(target.url(name), {
    method,
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const text = await answer.text()
  return { status: answer.status, body: (text === "" ? {} : JSON.parse(text)) as Record<string, unknown> }
}

describe("a server that was killed", () => {
  test("goes on where every worker was: cursors, leases, tokens, generations, keys", async () => {
    await say("PUT", "wake/pool", [])
    await say("PUT", "__ds/subscriptions/s", {
      type: "pull-wake",
      pattern: "events/*",
      wake_stream: "wake/pool",
      lease_ttl_ms: 60_000
    })
    const jwks = await say("GET", "__ds/jwks.json")
    let acked = 0
    for (let round = 1; round <= 5; round++) {
      await say("PUT", `events/${round}`, [round])
      await say("POST", "events/1", [round, round])
      const claim = await say("POST", "__ds/subscriptions/s/claim", { worker: `worker-${round}` })
      expect(claim.status).toBe(200)
      expect(claim.body["generation"]).toBe(round)
      const token = String(claim.body["token"])
      const wake = { wake_id: claim.body["wake_id"], generation: round }
      acked = round * 2 + 1
      const heartbeat = { ...wake, acks: [{ stream: "events/1", offset: offsetOf(acked) }] }
      expect((await say("POST", "__ds/subscriptions/s/ack", heartbeat, token)).status).toBe(200)

      await target.crash()

      const found = (await say("GET", "__ds/subscriptions/s")).body
      const streams = found["streams"] as ReadonlyArray<{ readonly path: string; readonly acked_offset: string }>
      expect(streams.find(({ path }) => path === "events/1")?.acked_offset).toBe(offsetOf(acked))
      expect(streams).toHaveLength(round)
      const busy = await say("POST", "__ds/subscriptions/s/claim", { worker: "another" })
      expect(busy.body["error"]).toMatchObject({ code: "ALREADY_CLAIMED", current_holder: `worker-${round}` })
      const others = streams.filter(({ path }) => path !== "events/1").map(({ path }) => ({
        stream: path,
        offset: offsetOf(1)
      }))
      const done = { ...wake, acks: others, done: true }
      const ended = await say("POST", "__ds/subscriptions/s/ack", done, token)
      expect([ended.status, ended.body]).toEqual([200, { ok: true, next_wake: false }])
      expect((await say("POST", "__ds/subscriptions/s/ack", done, token)).status).toBe(409)
    }
    expect(await say("GET", "__ds/jwks.json")).toEqual(jwks)
    const events = (await say("GET", "wake/pool")).body as unknown as ReadonlyArray<{ readonly generation: number }>
    expect(events.map(({ generation }) => generation)).toEqual([...new Set(events.map(({ generation }) => generation))])
    // The server's own logs are no streams.
    const { streams: names } = await (await fetch(`${target.origin}/streams`)).json() as {
      streams: ReadonlyArray<string>
    }
    expect(names.filter((name) => name.startsWith("__ds"))).toEqual([])
    for (const path of ["streams/__ds%2Fsubscriptions%2F0%2Fs/events", "v1/stream/__ds%2Fsubscriptions%2F0%2Fs"]) {
      expect((await fetch(`${target.origin}/${path}`)).status).not.toBe(200)
    }
    expect((await say("DELETE", "__ds/subscriptions/s")).status).toBe(204)
    await target.crash()
    expect((await say("GET", "__ds/subscriptions/s")).status).toBe(404)
  })
})
