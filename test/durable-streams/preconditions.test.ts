/**
 * `If-Match` and `If-None-Match` on requests that change a stream (RFC 9110 13.1): where one does not hold, the answer is 412
 * and nothing is performed.
 */
import { assert, layer } from "@effect/vitest"
import type { Reply } from "../web/wire.ts"
import { exchange, request } from "../web/wire.ts"
import { append, eventTexts, freshName, layerServer, offsetOf, talk } from "./served.ts"

const json = { "Content-Type": "application/json" }
const noTag = `"00000000-0000:0:1"`

const send = async (port: number, method: string, target: string, headers: Record<string, string>, body?: string) =>
  exchange(port, request(method, target, { ...(body === undefined ? {} : json), ...headers }, body))

const etagOf = async (port: number, name: string): Promise<string> =>
  (await send(port, "GET", `/v1/stream/${name}?offset=-1`, {})).headers["etag"]!

const isFailed = ({ body, headers, status }: Reply, tail: number | undefined) => {
  assert.strictEqual(status, 412, body.toString())
  assert.strictEqual(headers["stream-next-offset"], tail === undefined ? undefined : offsetOf(tail))
  assert.strictEqual((JSON.parse(body.toString()) as { readonly status: number }).status, 412)
}

layer(layerServer(), { excludeTestServices: true })("a precondition", (it) => {
  for (const root of ["/streams/", "/v1/stream/"]) {
    it.effect(`of a deletion keeps a stream that has moved on: ${root}`, () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, "1")
        const stale = await etagOf(port, name)
        await append(port, name, "2")
        const current = await etagOf(port, name)
        for (
          const headers of [
            { "If-Match": stale },
            { "If-Match": "1" },
            { "If-Match": `"${offsetOf(3)}"` },
            { "If-Match": `W/${current}` },
            { "If-Match": `"another's", ${noTag}` },
            { "If-None-Match": "*" },
            { "If-None-Match": `W/${current}` },
            { "If-None-Match": `"x", "${offsetOf(2)}"` }
          ]
        ) {
          isFailed(await send(port, "DELETE", `${root}${name}`, headers), 2)
        }
        assert.strictEqual((await eventTexts(port, name)).length, 2)
        const held: ReadonlyArray<Record<string, string> | undefined> = [
          undefined,
          { "If-Match": offsetOf(2) },
          { "If-Match": "*" },
          { "If-None-Match": stale },
          { "If-Match": "2", "If-None-Match": noTag },
          // There are no dates to compare: RFC 9110 13.1.4 has these ignored.
          { "If-Unmodified-Since": "Sat, 29 Oct 1994 19:43:31 GMT" }
        ]
        for (const found of held) {
          const etag = await etagOf(port, name)
          const headers = found ?? { "If-Match": `${stale}, ,${etag}` }
          assert.strictEqual((await send(port, "DELETE", `${root}${name}`, headers)).status, 204)
          assert.strictEqual((await send(port, "DELETE", `${root}${name}`, headers)).status, 404)
          // The same name and as many events, but another stream.
          await append(port, name, "1")
          await append(port, name, "2")
          isFailed(await send(port, "DELETE", `${root}${name}`, { "If-Match": etag }), 2)
        }
      }))

    it.effect(`of an append keeps it out of a stream that has moved on: ${root}`, () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, "1")
        const stale = await etagOf(port, name)
        await append(port, name, "2")
        const body = root === "/streams/" ? `{"data":3}` : "3"
        for (
          const headers of [
            { "If-Match": stale },
            { "If-Match": `"1"` },
            { "If-Match": `"1", "9"` },
            { "If-None-Match": "*" },
            { "If-None-Match": "2" }
          ]
        ) {
          isFailed(await send(port, "POST", `${root}${name}`, headers, body), 2)
        }
        const current = await etagOf(port, name)
        for (
          const headers of [{ "If-Match": current }, { "If-Match": "*" }, { "If-None-Match": stale }, {
            "If-Match": `"1", "5"`
          }]
        ) {
          assert.include([201, 204], (await send(port, "POST", `${root}${name}`, headers, body)).status)
        }
        assert.strictEqual((await eventTexts(port, name)).length, 6)
        isFailed(await send(port, "POST", `${root}${name}`, { "If-Match": current }, body), 6)
      }))
  }

  it.effect("of the first append asks that there be a stream, or none", () =>
    talk(async (port) => {
      const name = freshName()
      const post = (headers: Record<string, string>) => send(port, "POST", `/streams/${name}`, headers, `{"data":1}`)
      isFailed(await post({ "If-Match": "*" }), undefined)
      isFailed(await post({ "If-Match": noTag }), undefined)
      assert.strictEqual((await post({ "If-None-Match": "*" })).status, 201)
      isFailed(await post({ "If-None-Match": "*" }), 1)
      assert.strictEqual((await send(port, "POST", `/v1/stream/${freshName()}`, { "If-Match": "*" }, "1")).status, 404)
    }))

  it.effect("of PUT makes a stream only where there is none, or finds only one that is there", () =>
    talk(async (port) => {
      const name = freshName()
      const put = (headers: Record<string, string>) => send(port, "PUT", `/v1/stream/${name}`, { ...json, ...headers })
      isFailed(await put({ "If-Match": "*" }), undefined)
      assert.strictEqual((await put({ "If-None-Match": "*" })).status, 201)
      isFailed(await put({ "If-None-Match": "*" }), 0)
      assert.strictEqual((await put({ "If-Match": await etagOf(port, name) })).status, 200)
      assert.strictEqual((await put({})).status, 200)
    }))

  it.effect("of two who make a stream at once lets one of them", () =>
    talk(async (port) => {
      for (let i = 0; i < 20; i++) {
        const name = freshName()
        const put = () => send(port, "PUT", `/v1/stream/${name}`, { ...json, "If-None-Match": "*" })
        const statuses = (await Promise.all([put(), put(), put()])).map(({ status }) => status)
        assert.deepStrictEqual(statuses.toSorted((a, b) => a - b), [201, 412, 412])
      }
    }))

  it.effect("of a read is obeyed, too", () =>
    talk(async (port) => {
      const name = freshName()
      await append(port, name, "1")
      const get = (headers: Record<string, string>) => send(port, "GET", `/v1/stream/${name}?offset=-1`, headers)
      const etag = await etagOf(port, name)
      assert.strictEqual((await get({ "If-Match": etag })).status, 200)
      assert.strictEqual((await get({ "If-Match": "*" })).status, 200)
      isFailed(await get({ "If-Match": `W/${etag}` }), 1)
      isFailed(await get({ "If-Match": noTag }), 1)
      assert.strictEqual((await exchange(port, request("GET", `/v1/stream/${name}?offset=-1`))).status, 200)
    }))

  it.effect("that is none is refused", () =>
    talk(async (port) => {
      const name = freshName()
      await append(port, name, "1")
      for (const value of ["abc", "-1", `"a`, `a"`, `"a" "b"`, "W/", "w/\"a\"", `"0", x`, ",", "1".repeat(17)]) {
        for (const header of ["If-Match", "If-None-Match"]) {
          for (const [method, body] of [["DELETE", undefined], ["POST", `{"data":1}`]] as const) {
            const { status } = await send(port, method, `/streams/${name}`, { [header]: value }, body)
            assert.strictEqual(status, 400, `${method} ${header}: ${value}`)
          }
        }
      }
      assert.strictEqual((await eventTexts(port, name)).length, 1)
    }))
})
