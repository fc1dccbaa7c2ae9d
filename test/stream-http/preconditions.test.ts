/**
 * `If-Match` and `If-None-Match` on requests that change a stream (RFC 9110 13.1): if one does not hold, the answer is
 * 412 and nothing is done.
 */
import { assert, layer } from "@effect/vitest"
import { freshName, offsetOf } from "../support/names.ts"
import { append, eventTexts, layerServer, talk } from "../support/served.ts"
import type { Reply } from "../support/wire.ts"
import { exchange, json, request, Wire } from "../support/wire.ts"

const noTag = `"00000000-0000:0:1"`

const send = async (port: number, method: string, target: string, headers: Record<string, string>, body?: string) =>
  exchange(port, request(method, target, { ...(body === undefined ? {} : json), ...headers }, body))

const etagOf = async (port: number, name: string): Promise<string> =>
  (await send(port, "GET", `/v1/stream/${name}?offset=-1`, {})).headers["etag"]!

/** Sends the body only when `meanwhile` is done, long after the server has begun with the request. */
const sendSlowly = async (
  port: number,
  method: string,
  target: string,
  headers: Record<string, string>,
  body: string,
  meanwhile: () => Promise<unknown>
): Promise<Reply> => {
  const wire = await Wire.open(port)
  try {
    const length = `${Buffer.byteLength(body)}`
    const all = { ...json, "Content-Length": length, Expect: "100-continue", ...headers }
    assert.strictEqual((await wire.send(request(method, target, all)).reply(method)).status, 100)
    await meanwhile()
    return await wire.send(body).reply(method)
  } finally {
    wire.close()
  }
}

/**
 * How often each status is answered when twenty clients send the same, and the server has begun with all before a body
 * comes.
 */
const twentyAtOnce = async (port: number, target: string, headers: Record<string, string>) => {
  const body = target.startsWith("/v1/") ? "1" : `{"data":1}`
  const counts: Record<number, number> = {}
  let begun = 0
  const allBegun = Promise.withResolvers<void>()
  const together = () => {
    if (++begun === 20) allBegun.resolve()
    return allBegun.promise
  }
  const one = () => sendSlowly(port, "POST", target, headers, body, together)
  for (const { status } of await Promise.all(Array.from({ length: 20 }, one))) {
    counts[status] = (counts[status] ?? 0) + 1
  }
  return counts
}

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
          // There are no dates to compare: RFC 9110 13.1.4 says to ignore these.
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

  it.effect("of PUT makes a stream only if there is none, or finds only an existing one", () =>
    talk(async (port) => {
      const name = freshName()
      const put = (headers: Record<string, string>) => send(port, "PUT", `/v1/stream/${name}`, { ...json, ...headers })
      isFailed(await put({ "If-Match": "*" }), undefined)
      assert.strictEqual((await put({ "If-None-Match": "*" })).status, 201)
      isFailed(await put({ "If-None-Match": "*" }), 0)
      assert.strictEqual((await put({ "If-Match": await etagOf(port, name) })).status, 200)
      assert.strictEqual((await put({})).status, 200)
    }))

  it.effect("of two clients who make a stream at once lets one of them", () =>
    talk(async (port) => {
      for (let i = 0; i < 20; i++) {
        const name = freshName()
        const put = () => send(port, "PUT", `/v1/stream/${name}`, { ...json, "If-None-Match": "*" })
        const statuses = (await Promise.all([put(), put(), put()])).map(({ status }) => status)
        assert.deepStrictEqual(statuses.toSorted((a, b) => a - b), [201, 412, 412])
      }
    }))

  it.effect("that there be no stream, or another tail, is met by one of twenty first appends at once", () =>
    talk(async (port) => {
      for (const ifNoneMatch of ["*", "1"]) {
        const name = freshName()
        const counts = await twentyAtOnce(port, `/streams/${name}`, { "If-None-Match": ifNoneMatch })
        assert.deepStrictEqual(counts, { 201: 1, 412: 19 }, ifNoneMatch)
        assert.strictEqual((await eventTexts(port, name)).length, 1)
      }
    }))

  for (const [root, status] of [["/streams/", 201], ["/v1/stream/", 204]] as const) {
    it.effect(`that the tail be another one is met by one of twenty appends at once: ${root}`, () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, "0")
        const counts = await twentyAtOnce(port, `${root}${name}`, { "If-None-Match": "2" })
        assert.deepStrictEqual(counts, { [status]: 1, 412: 19 })
        assert.strictEqual((await eventTexts(port, name)).length, 2)
      }))

    it.effect(`that there be a stream is met by all of twenty appends at once: ${root}`, () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, "0")
        assert.deepStrictEqual(await twentyAtOnce(port, `${root}${name}`, { "If-Match": "*" }), { [status]: 20 })
        assert.strictEqual((await eventTexts(port, name)).length, 21)
      }))
  }

  it.effect("is judged when the body of an append is there, and not before", () =>
    talk(async (port) => {
      const slowly = (name: string, headers: Record<string, string>, meanwhile: () => Promise<unknown>) =>
        sendSlowly(port, "POST", `/streams/${name}`, headers, `{"data":"mine"}`, meanwhile)
      const fresh = freshName()
      isFailed(await slowly(fresh, { "If-None-Match": "*" }, () => append(port, fresh, "1")), 1)
      assert.strictEqual((await eventTexts(port, fresh)).length, 1)
      const remove = () => send(port, "DELETE", `/streams/${fresh}`, {})
      isFailed(await slowly(fresh, { "If-Match": "*" }, remove), undefined)
      assert.strictEqual((await eventTexts(port, fresh)).length, 0)
      await append(port, fresh, "1")
      const stale = await etagOf(port, fresh)
      const anew = async () => {
        await remove()
        await append(port, fresh, "2")
      }
      isFailed(await slowly(fresh, { "If-Match": stale }, anew), 1)
      // A condition that did not hold at first, and does now, holds.
      assert.strictEqual((await slowly(fresh, { "If-Match": "2, 9" }, () => append(port, fresh, "4"))).status, 201)
    }))

  it.effect("is judged when the body of PUT is there, and not before", () =>
    talk(async (port) => {
      const name = freshName()
      const target = `/v1/stream/${name}`
      const put = () => send(port, "PUT", target, json)
      const slowly = (headers: Record<string, string>, meanwhile: () => Promise<unknown>) =>
        sendSlowly(port, "PUT", target, headers, "[1]", meanwhile)
      await put()
      const stale = await etagOf(port, name)
      const remove = () => send(port, "DELETE", target, {})
      isFailed(await slowly({ "If-Match": "*" }, remove), undefined)
      assert.strictEqual((await send(port, "HEAD", target, {})).status, 404)
      isFailed(await slowly({ "If-None-Match": "*" }, put), 0)
      isFailed(await slowly({ "If-Match": stale }, () => Promise.resolve()), 0)
      assert.strictEqual((await slowly({ "If-Match": "*" }, () => Promise.resolve())).status, 200)
      const fork = freshName()
      const forking = { ...json, "Stream-Forked-From": target }
      const makeFork = () => send(port, "PUT", `/v1/stream/${fork}`, forking)
      const forkSlowly = (headers: Record<string, string>, meanwhile: () => Promise<unknown>) =>
        sendSlowly(port, "PUT", `/v1/stream/${fork}`, { ...forking, ...headers }, "[1]", meanwhile)
      isFailed(await forkSlowly({ "If-None-Match": "*" }, makeFork), 0)
      isFailed(await forkSlowly({ "If-Match": "*" }, () => send(port, "DELETE", `/v1/stream/${fork}`, {})), undefined)
    }))

  it.effect("of an append that was made before is not asked again", () =>
    talk(async (port) => {
      const name = freshName()
      const headers = { "Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": "0", "If-None-Match": "*" }
      const once = () => send(port, "POST", `/streams/${name}`, headers, `{"data":1}`)
      assert.strictEqual((await once()).status, 201)
      assert.strictEqual((await once()).status, 200)
      isFailed(await send(port, "POST", `/streams/${name}`, { ...headers, "Producer-Seq": "1" }, `{"data":1}`), 1)
      assert.strictEqual((await eventTexts(port, name)).length, 1)
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

  it.effect("that is not valid is refused", () =>
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
