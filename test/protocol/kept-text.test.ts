/**
 * Text of clients that a log's first line or its state holds has a limit (docs/decisions/0010-limits.md): text within
 * the limit survives a restart, and longer text is refused and leaves nothing behind.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { offsetOf } from "../support/names.ts"
import { during, listStreams, serverSettings, temporaryDirectory } from "../support/served.ts"
import { get, head, post, put, text } from "../support/speaking.ts"

/**
 * The longest texts that are accepted, of characters that take two bytes in JSON if the text may hold such characters.
 */
const contentType = `text/plain; x=${"\"".repeat(1_024 - "text/plain; x=".length)}`
const expiresAt = "2126-01-08T09:00:00.123456789+01:00"
const id = "\"".repeat(512)
const seq = `${"\\".repeat(511)}a`
const [name, fork] = ["%22".repeat(512), `%5C${"%22".repeat(511)}`]

const from = (id: string, seq: number) => ({
  ...text,
  "producer-id": id,
  "producer-epoch": "0",
  "producer-seq": `${seq}`
})

/** The settings of every server on that directory. */
const settingsOf = (directory: string) =>
  ({ ...serverSettings(directory), storage: "fs", durability: "fsync" }) as const

/** The sentence of a refused request. */
const sentence = async (answer: Response): Promise<string> => {
  assert.strictEqual(answer.status, 400)
  return ((await answer.json()) as { readonly detail: string }).detail
}

it.live("Promise 2: the longest accepted texts survive a restart, all in one stream", () =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    yield* during(settingsOf(directory), async (port) => {
      assert.strictEqual((await put(port, name, text)).status, 201)
      const made = await put(port, fork, {
        "content-type": contentType,
        "stream-expires-at": expiresAt,
        "stream-forked-from": `/v1/stream/${name}`
      })
      assert.strictEqual(made.status, 201)
      assert.strictEqual((await post(port, fork, { ...from(id, 0), "stream-seq": seq }, "one")).status, 200)
      assert.strictEqual((await post(port, fork, { ...from(id, 1), "stream-closed": "true" }, "two")).status, 200)
    })
    yield* during(settingsOf(directory), async (port) => {
      assert.deepStrictEqual(await listStreams(port), ["\"".repeat(512), `\\${"\"".repeat(511)}`])
      const { headers } = await head(port, fork)
      assert.strictEqual(headers.get("content-type"), contentType)
      assert.strictEqual(headers.get("stream-expires-at"), expiresAt)
      assert.strictEqual(headers.get("stream-next-offset"), offsetOf(2))
      assert.strictEqual(await (await get(port, fork, "?offset=-1")).text(), "onetwo")
      const again = await post(port, fork, { ...from(id, 1), "stream-closed": "true" }, "two")
      assert.strictEqual(again.status, 204, "the closing, repeated")
    })
  }).pipe(Effect.scoped))

it.live("Promise 11: one byte more is refused in a sentence with the limit, and nothing of it is kept", () =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    yield* during(settingsOf(directory), async (port) => {
      const type = { "content-type": `${contentType}y` }
      assert.include(await sentence(await put(port, "made", type)), "Content-Type")
      assert.include(await sentence(await put(port, "made", type)), "at most 1024")
      const late = { ...text, "stream-expires-at": expiresAt.replace("9+", "90+") }
      assert.include(await sentence(await put(port, "made", late)), "at most 9 digits")
      const source = { ...text, "stream-forked-from": `/v1/stream/${name}%22` }
      assert.include(await sentence(await put(port, "made", source)), "512 bytes")
      assert.deepStrictEqual(await listStreams(port), [])

      await put(port, "kept", text)
      assert.include(await sentence(await post(port, "kept", type, "one")), "at most 1024")
      assert.include(await sentence(await post(port, "kept", from(`${id}"`, 0), "one")), "at most 512")
      assert.include(
        await sentence(await post(port, "kept", { ...text, "stream-seq": `${seq}a` }, "one")),
        "at most 512"
      )
      const native = await fetch(`http://127.0.0.1:${port}/streams/made`, {
        method: "POST",
        headers: { ...from(`${id}"`, 0), "content-type": "application/json" },
        body: `{"data":1}`
      })
      assert.include(await sentence(native), "Producer-Id")
      assert.deepStrictEqual(await listStreams(port), ["kept"])
    })
    yield* during(settingsOf(directory), async (port) => {
      assert.strictEqual((await head(port, "kept")).headers.get("stream-next-offset"), offsetOf(0))
    })
  }).pipe(Effect.scoped))
