/**
 * The conditions of an append of the native API, by the protocol's headers (docs/protocol.md 3): a producer's number,
 * the writer's sequence, the closing of the stream.
 */
import { assert, layer } from "@effect/vitest"
import { freshName, offsetOf } from "../support/names.ts"
import { eventTexts, layerServer, talk, urlOf } from "../support/served.ts"

interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

/** Appends a number, or several. */
const append = async (
  port: number,
  name: string,
  data: number | ReadonlyArray<number>,
  headers: Record<string, string>
): Promise<Answered> => {
  const several = typeof data !== "number"
  const answer = await fetch(urlOf(port, name), {
    method: "POST",
    headers: { "content-type": several ? "application/x-ndjson" : "application/json", ...headers },
    body: several ? data.join("\n") : `{"data":${data}}`
  })
  return { status: answer.status, headers: answer.headers, body: await answer.json() as Record<string, unknown> }
}

const producer = (epoch: number | string, seq: number | string, id = "writer") => ({
  "Producer-Id": id,
  "Producer-Epoch": String(epoch),
  "Producer-Seq": String(seq)
})

const dataOf = async (port: number, name: string) =>
  (await eventTexts(port, name)).map((text) => (JSON.parse(text) as { readonly data: unknown }).data)

/** The kind of the refusal. */
const kindOf = ({ body, status }: Answered) => `${status} ${String(body["type"]).replace("urn:durable-streams:", "")}`

for (const storage of ["memory", "fs"] as const) {
  layer(layerServer({ storage }), { excludeTestServices: true })(`conditions of an append (${storage})`, (it) => {
    it.effect("a producer's number counts once, however often it is sent, and the answer to a repetition says so", () =>
      talk(async (port) => {
        const name = freshName()
        const first = await append(port, name, 0, producer(0, 0))
        assert.strictEqual(first.status, 201)
        assert.strictEqual(first.body["data"], 0)
        assert.strictEqual((await append(port, name, [1, 2], producer(0, 1))).status, 201)
        for (const seq of [0, 1]) {
          const again = await append(port, name, 9, producer(0, seq))
          assert.strictEqual(again.status, 200)
          assert.deepStrictEqual(again.body, {
            eventStreamId: name,
            repeated: true,
            producer: { epoch: 0, seq: 1 },
            nextOffset: offsetOf(3)
          })
          assert.deepStrictEqual(
            ["stream-next-offset", "producer-epoch", "producer-seq"].map((header) => again.headers.get(header)),
            [offsetOf(3), "0", "1"]
          )
        }
        assert.deepStrictEqual(await dataOf(port, name), [0, 1, 2])
      }))

    it.effect("a producer that leaves a number out, or has an older epoch, is refused with the value it needs", () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, 0, producer(3, 0))
        const gap = await append(port, name, 1, producer(3, 2))
        assert.strictEqual(kindOf(gap), "409 ProducerGap")
        assert.deepInclude(gap.body, { expected: 1, received: 2 })
        const fenced = await append(port, name, 1, producer(2, 1))
        assert.strictEqual(kindOf(fenced), "403 ProducerFenced")
        assert.deepInclude(fenced.body, { epoch: 3 })
        assert.strictEqual(kindOf(await append(port, name, 1, producer(4, 1))), "400 InvalidRequest")
        assert.strictEqual((await append(port, name, 1, producer(4, 0))).status, 201)
        assert.deepStrictEqual(await dataOf(port, name), [0, 1])
      }))

    it.effect("Stream-Seq only goes up, byte for byte", () =>
      talk(async (port) => {
        const name = freshName()
        const seqs = ["a", "a", "B", "ab", "b"]
        const statuses: Array<string | number> = []
        for (const seq of seqs) {
          const answer = await append(port, name, 1, { "Stream-Seq": seq })
          statuses.push(answer.status === 201 ? 201 : kindOf(answer))
        }
        const back = "409 SequenceRegression"
        assert.deepStrictEqual(statuses, [201, back, back, 201, 201])
      }))

    it.effect("Stream-Closed: true closes the stream with its last events; any other value does not", () =>
      talk(async (port) => {
        const name = freshName()
        for (const value of ["false", "yes", "1", ""]) {
          const answer = await append(port, name, 0, { "Stream-Closed": value })
          assert.strictEqual(answer.status, 201)
          assert.isNull(answer.headers.get("stream-closed"))
        }
        const last = await append(port, name, [1, 2], { "Stream-Closed": "True", ...producer(0, 0) })
        assert.deepStrictEqual([last.status, last.headers.get("stream-closed")], [201, "true"])
        assert.strictEqual(last.headers.get("stream-next-offset"), offsetOf(6))
        const again = await append(port, name, [1, 2], { "Stream-Closed": "true", ...producer(0, 0) })
        assert.deepStrictEqual([again.status, again.body["repeated"]], [200, true])
        const late = await append(port, name, 3, {})
        assert.strictEqual(kindOf(late), "409 StreamClosed")
        assert.strictEqual(late.body["tail"], offsetOf(6))
        assert.strictEqual(kindOf(await append(port, name, 3, { "Stream-Closed": "true" })), "409 StreamClosed")
        assert.deepStrictEqual(await dataOf(port, name), [0, 0, 0, 0, 1, 2])
      }))

    it.effect("half a producer, and a value that is no number, are refused, and nothing is kept", () =>
      talk(async (port) => {
        const name = freshName()
        const { "Producer-Epoch": _, ...withoutEpoch } = producer(0, 0)
        const { "Producer-Id": __, ...withoutId } = producer(0, 0)
        const bad = [withoutEpoch, withoutId, producer(0, 0, ""), producer(0, 0, "__ds/subscriptions/x")]
        for (const number of ["-1", "+1", "01", "1.0", "1e3", "x", "", "9007199254740992", "0, 0"]) {
          bad.push(producer(number, 0), producer(0, number))
        }
        for (const headers of bad) {
          assert.strictEqual(
            kindOf(await append(port, name, 1, headers as Record<string, string>)),
            "400 InvalidRequest"
          )
        }
        assert.deepStrictEqual(await dataOf(port, name), [])
      }))
  })
}
