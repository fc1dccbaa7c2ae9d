/**
 * The published `@durable-streams/client` against our server on files.
 */
import { DurableStream, stream } from "@durable-streams/client"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Target } from "../support/target.ts"
import { follow, headOf, readAll, streamAt } from "./follow.ts"

let target: Target
beforeAll(async () => {
  target = await Target.start("fs")
})
afterAll(() => target.stop())

const make = async (name: string, contentType = "application/json") => {
  const url = target.url(name)
  return { url, stream: await DurableStream.create({ url, contentType, warnOnHttp: false }) }
}

const collect = async (chunks: AsyncIterable<Uint8Array>): Promise<ReadonlyArray<number>> => {
  const bytes: Array<number> = []
  for await (const chunk of chunks) bytes.push(...chunk)
  return bytes
}

describe("the client", () => {
  it("creates a stream, and finds it as it was made", async () => {
    const { stream, url } = await make("client-create", "text/plain; charset=utf-8")
    const head = await headOf(stream)
    assert.deepInclude(head, { exists: true, contentType: "text/plain; charset=utf-8", streamClosed: false })
    assert.strictEqual((await headOf(streamAt(url))).offset, head.offset)
  })

  it("appends JSON and reads it back unchanged", async () => {
    const { stream, url } = await make("client-json")
    const values = [{ n: 1 }, ["an", ["array"]], "text \u2028 é 漢 🎈", 1.5, null, true, { "": {} }]
    for (const value of values) await stream.append(JSON.stringify(value))
    assert.deepStrictEqual(await readAll(url), values)
  })

  it("appends a batch in order, however many are under way", async () => {
    const { stream, url } = await make("client-batched")
    await Promise.all(Array.from({ length: 200 }, (_, n) => stream.append(JSON.stringify({ n }))))
    assert.deepStrictEqual(await readAll(url), Array.from({ length: 200 }, (_, n) => ({ n })))
  })

  it("appends bytes and reads them back, whatever they are", async () => {
    const { stream, url } = await make("client-bytes", "application/octet-stream")
    const all = Uint8Array.from({ length: 256 * 40 }, (_, i) => i % 256)
    for (let at = 0; at < all.length; at += 1_000) await stream.append(all.subarray(at, at + 1_000))
    const response = await streamAt(url, "application/octet-stream").stream({ live: false, offset: "-1" })
    assert.deepStrictEqual(await response.body(), all)
  })

  it("appends text piece by piece from a readable stream", async () => {
    const { stream: written, url } = await make("client-pieces", "text/plain")
    const pieces = ["Über ", "den ", "Wolken 🎈", "\r\n\n", "…"]
    await written.appendStream(ReadableStream.from(pieces))
    assert.strictEqual(
      await (await stream({ url, live: false, offset: "-1", warnOnHttp: false })).text(),
      pieces.join("")
    )
  })

  it("goes on from the offset it had", async () => {
    const { stream, url } = await make("client-resume")
    for (let n = 0; n < 5; n++) await stream.append(String(n))
    const { offset } = await headOf(stream)
    assert.deepStrictEqual(await readAll(url, offset!), [])
    for (let n = 5; n < 8; n++) await stream.append(String(n))
    assert.deepStrictEqual(await readAll(url, offset!), [5, 6, 7])
  })

  it("reads a long stream to its end, though the server may answer in parts", async () => {
    const { stream, url } = await make("client-long")
    const text = "x".repeat(1_000)
    for (let n = 0; n < 20; n++) {
      await stream.append(JSON.stringify(Array.from({ length: 200 }, (_, i) => ({ n: n * 200 + i, text }))))
    }
    const read = (await readAll<{ readonly n: number } | ReadonlyArray<{ readonly n: number }>>(url)).flat()
    assert.deepStrictEqual(read.map(({ n }) => n), Array.from({ length: 4_000 }, (_, n) => n))
  })

  for (const live of ["long-poll", "sse"] as const) {
    it(`follows with ${live}, and goes on where it stopped`, async () => {
      const { stream, url } = await make(`client-live-${live}`)
      await stream.append(JSON.stringify({ n: 0 }))
      const first = await follow<{ readonly n: number }>(target, url, live)
      await first.reached(1)
      for (let n = 1; n < 20; n++) await stream.append(JSON.stringify({ n }))
      await first.reached(20)
      first.stop()
      await stream.append(JSON.stringify({ n: 20 }))
      const second = await follow<{ readonly n: number }>(target, url, live, first.offset())
      await second.reached(1)
      second.stop()
      assert.deepStrictEqual(
        [...first.items, ...second.items].map(({ n }) => n),
        Array.from({ length: 21 }, (_, n) => n)
      )
    })

    it(`follows bytes with ${live} to the closing of the stream`, async () => {
      const { stream: written, url } = await make(`client-closed-${live}`, "application/octet-stream")
      const response = await stream({ url, live, offset: "-1", warnOnHttp: false })
      const body = collect(response.bodyStream())
      for (let n = 0; n < 10; n++) await written.append(Uint8Array.of(n, 255 - n))
      await written.close({ body: Uint8Array.of(42) })
      const expected = Array.from({ length: 10 }, (_, n) => [n, 255 - n]).flat().concat(42)
      assert.deepStrictEqual(await body, expected)
    })
  }

  it("deletes a stream", async () => {
    const { stream } = await make("client-delete")
    await stream.delete()
    assert.deepStrictEqual(await stream.head(), { exists: false })
  })
})
