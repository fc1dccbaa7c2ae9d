/**
 * After `kill -9` every answered state is unchanged: contents, offsets, closings, forks, a deleted source that its
 * forks keep, the time to live, and each producer's last number, which is not appended twice.
 */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Target } from "../support/target.ts"

let target: Target
beforeAll(async () => {
  target = await Target.start("fs")
})
afterAll(() => target.stop())

type Headers = Readonly<Record<string, string>>

const json = { "content-type": "application/json" }
const bytes = { "content-type": "application/octet-stream" }
const text = { "content-type": "text/plain; charset=utf-8" }

const send = async (name: string, method: string, headers: Headers, body?: string | Uint8Array<ArrayBuffer>) => {
  const answer = await fetch(target.url(name), { method, headers, ...(body === undefined ? {} : { body }) })
  await answer.arrayBuffer()
  return answer
}

const status = async (...request: Parameters<typeof send>): Promise<number> => (await send(...request)).status

/** Sends a request that has to succeed; returns the offset in its answer. */
const done = async (...request: Parameters<typeof send>): Promise<string> => {
  const { headers, status } = await send(...request)
  assert.include([200, 201, 204], status, `${request[1]} ${request[0]}`)
  return headers.get("stream-next-offset")!
}

const numbered = (id: string, epoch: number, seq: number): Headers => ({
  "producer-id": id,
  "producer-epoch": String(epoch),
  "producer-seq": String(seq)
})

/** All that a stream says of itself, except the time of the request. */
const seen = async (name: string) => {
  const read = await fetch(`${target.url(name)}?offset=-1`)
  const head = await fetch(target.url(name), { method: "HEAD" })
  const kept = ["content-type", "stream-next-offset", "stream-closed", "stream-ttl", "stream-expires-at", "etag"]
  return {
    status: [read.status, head.status],
    content: read.ok ? Buffer.from(await read.arrayBuffer()).toString("base64") : undefined,
    read: kept.map((header) => read.headers.get(header)),
    head: kept.map((header) => head.headers.get(header))
  }
}

/** The producers' last appends, to be sent again. */
interface Last {
  readonly name: string
  readonly headers: Headers
  readonly body: string
}

const all = Uint8Array.from({ length: 256 }, (_, i) => i)
const year = "2099-01-01T00:00:00Z"

/** Makes streams of every kind; returns their names and the last numbered appends. */
const makeAll = async (at: string) => {
  const name = (of: string) => `${at}/${of}`
  const lasts: Array<Last> = []
  const produce = async (
    stream: string,
    id: string,
    epoch: number,
    seq: number,
    body: string,
    more: Headers = json
  ) => {
    const headers = { ...more, ...numbered(id, epoch, seq) }
    await done(name(stream), "POST", headers, body)
    lasts.push({ name: name(stream), headers, body })
  }

  await done(name("empty"), "PUT", json)
  await done(name("json"), "PUT", json, `[{"n":0},[1],"2"]`)
  const anchor = await done(name("json"), "POST", { ...json, "stream-seq": "b" }, `[{"n": 3.0, "n": 4},null]`)
  await done(name("json"), "POST", { ...json, "stream-seq": "c" }, `"é 漢 🎈"`)
  await done(name("bytes"), "PUT", bytes, all)
  await done(name("bytes"), "POST", bytes, new Uint8Array(100_000).fill(7))
  await done(name("text"), "PUT", text)
  await done(name("text"), "POST", text, "line 1\nline 2\r\n")
  await done(name("made closed"), "PUT", { ...text, "stream-closed": "true" }, "all there is")
  await done(name("closed"), "PUT", json, "[1,2]")
  await done(name("closed"), "POST", { ...json, "stream-closed": "true" }, "[3]")
  await done(name("ttl"), "PUT", { ...json, "stream-ttl": "3600" }, "[1]")
  await done(name("expires"), "PUT", { ...json, "stream-expires-at": year }, "[1]")

  await done(name("produced"), "PUT", json)
  for (let seq = 0; seq < 5; seq++) await produce("produced", "a", 0, seq, `{"a":${seq}}`)
  await produce("produced", "b", 7, 0, `["b"]`)
  await produce("produced", "a", 1, 0, `{"a":"again"}`)
  await done(name("produced closed"), "PUT", json)
  await produce("produced closed", "a", 0, 0, "[1]")
  await produce("produced closed", "a", 0, 1, "[2]", { ...json, "stream-closed": "true" })

  const from = (source: string, more: Headers = {}) => ({
    "stream-forked-from": new URL(target.url(name(source))).pathname,
    ...more
  })
  await done(name("fork"), "PUT", from("json"))
  await done(name("fork"), "POST", json, `{"own":1}`)
  await done(name("fork at"), "PUT", from("json", { "stream-fork-offset": anchor }))
  await done(name("fork of fork"), "PUT", from("fork"))
  await done(name("fork of fork"), "POST", json, `{"own":2}`)
  const start = (await fetch(target.url(name("empty")), { method: "HEAD" })).headers.get("stream-next-offset")!
  await done(name("fork inside"), "PUT", from("bytes", { "stream-fork-offset": start, "stream-fork-sub-offset": "77" }))
  await done(name("fork inside"), "POST", bytes, Uint8Array.of(1, 2, 3))
  await done(name("kept"), "PUT", json, "[1,2,3]")
  await done(name("heir"), "PUT", from("kept"))
  await done(name("kept"), "DELETE", {})
  await done(name("deleted"), "PUT", json, "[1]")
  await done(name("deleted"), "DELETE", {})
  return {
    lasts,
    names: ("empty,json,bytes,text,made closed,closed,ttl,expires,produced,produced closed,fork,fork at,fork of fork," +
      "fork inside,kept,heir,deleted").split(",").map(name)
  }
}

describe("after kill -9", () => {
  it("every stream is unchanged, and no producer's append is made twice", async () => {
    const { lasts, names } = await makeAll("once")
    const seenAll = () => Promise.all(names.map(async (name) => [name, await seen(name)] as const))
    const before = await seenAll()
    assert.deepStrictEqual(before.map(([, { status }]) => status[0]).filter((status) => status !== 200), [410, 404])
    for (let crash = 0; crash < 2; crash++) {
      await target.crash()
      assert.deepStrictEqual(await seenAll(), before)
      for (const { body, headers, name } of lasts) {
        const isOver = headers["producer-id"] === "a" && headers["producer-epoch"] === "0" && name.endsWith("produced")
        const hasEnded = name.endsWith("produced closed") && headers["producer-seq"] === "0"
        assert.strictEqual(await status(name, "POST", headers, body), isOver ? 403 : hasEnded ? 409 : 204)
      }
      assert.deepStrictEqual(await seenAll(), before)
    }
  })

  it("a forbidden request is still forbidden, and each producer's next number is accepted", async () => {
    await makeAll("next")
    await target.crash()
    assert.strictEqual(await status("next/json", "POST", { ...json, "stream-seq": "c" }, "[1]"), 409)
    assert.strictEqual(await status("next/json", "POST", { ...json, "stream-seq": "d" }, "[1]"), 204)
    assert.strictEqual(await status("next/json", "POST", text, "1"), 409)
    assert.strictEqual(await status("next/closed", "POST", json, "[1]"), 409)
    assert.strictEqual(await status("next/closed", "POST", { "stream-closed": "true" }), 204)
    assert.strictEqual(await status("next/produced", "POST", { ...json, ...numbered("a", 1, 2) }, "[1]"), 409)
    assert.strictEqual(await status("next/produced", "POST", { ...json, ...numbered("a", 1, 1) }, "[1]"), 200)
    assert.strictEqual(await status("next/fork", "POST", { ...json, "stream-seq": "a" }, "[1]"), 204)
    assert.strictEqual(await status("next/ttl", "PUT", { ...json, "stream-ttl": "3600" }), 200)
    assert.strictEqual(await status("next/ttl", "PUT", json), 409)
    assert.strictEqual(await status("next/kept", "PUT", json), 409)
    assert.strictEqual(await status("next/heir", "POST", json, "[4]"), 204)
    assert.strictEqual(await status("next/heir", "DELETE", {}), 204)
    assert.strictEqual(await status("next/deleted", "PUT", json), 201)
  })
})
