/**
 * Idempotent producers of `@durable-streams/client` whose answers get lost, and whose server is killed under them:
 * afterwards each message is there once, in its producer's order, and each follower has seen the same.
 */
import { DurableStream, IdempotentProducer, type LiveMode } from "@durable-streams/client"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Target } from "../support/target.ts"
import { follow, headOf, readAll, stubborn } from "./follow.ts"

const producers = 4
const messagesEach = 600

interface Message {
  readonly producer: number
  readonly n: number
}

let target: Target
beforeAll(async () => {
  target = await Target.start("fs")
})
afterAll(() => target.stop())

/** Sends all messages of all producers, in batches of a few, several under way at a time. */
const produce = async (stream: DurableStream, fetch: typeof globalThis.fetch): Promise<void> => {
  await Promise.all(Array.from({ length: producers }, async (_, producer) => {
    const errors: Array<Error> = []
    const sender = new IdempotentProducer(stream, `producer-${producer}`, {
      fetch,
      maxBatchBytes: 256,
      onError: (error) => errors.push(error)
    })
    for (let n = 0; n < messagesEach; n++) sender.append(JSON.stringify({ producer, n }))
    await sender.flush()
    assert.deepStrictEqual(errors, [])
  }))
}

/** Fails unless each producer's numbers are there once each, in order. */
const assertComplete = (messages: ReadonlyArray<Message>) => {
  for (let producer = 0; producer < producers; producer++) {
    const numbers = messages.filter((message) => message.producer === producer).map(({ n }) => n)
    assert.deepStrictEqual(numbers, Array.from({ length: messagesEach }, (_, n) => n))
  }
  assert.strictEqual(messages.length, producers * messagesEach)
}

const total = producers * messagesEach

describe("idempotent producers", () => {
  it("send each message once though every third answer is lost", async () => {
    const stream = await DurableStream.create({
      url: target.url("lossy"),
      contentType: "application/json",
      warnOnHttp: false
    })
    let repeated = 0
    const fetch = stubborn(target, (answer) => answer % 3 === 0, (_, { status }) => {
      if (status === 204) repeated++
    })
    await produce(stream, fetch)
    assert.isAbove(repeated, 50)
    assertComplete(await readAll(stream.url))
  })

  for (const live of ["long-poll", "sse"] as const satisfies ReadonlyArray<LiveMode>) {
    it(`send each message once though the server is killed under them, and ${live} followers see each once`, async () => {
      const stream = await DurableStream.create({
        url: target.url(`killed-${live}`),
        contentType: "application/json",
        warnOnHttp: false
      })
      const followers = await Promise.all([0, 1].map(() => follow<Message>(target, stream.url, live)))
      const crashes: Array<Promise<void>> = []
      const fetch = stubborn(target, (answer) => answer % 7 === 0, (answer) => {
        if (answer === 60 || answer === 200) crashes.push(target.crash())
      })
      await produce(stream, fetch)
      await Promise.all(crashes)
      assert.lengthOf(crashes, 2)
      await Promise.all(followers.map(({ reached }) => reached(total)))
      for (const { stop } of followers) stop()
      const messages = await readAll<Message>(stream.url)
      assertComplete(messages)
      for (const { items } of followers) assert.deepStrictEqual(items, messages)
    })
  }

  it("close the stream with a last message, once, though the answer is lost", async () => {
    const stream = await DurableStream.create({
      url: target.url("closing"),
      contentType: "application/json",
      warnOnHttp: false
    })
    const sender = new IdempotentProducer(stream, "closer", { fetch: stubborn(target, (answer) => answer === 2) })
    sender.append(`"first"`)
    await sender.flush()
    await sender.close(`"last"`)
    assert.deepStrictEqual(await readAll(stream.url), ["first", "last"])
    assert.isTrue((await headOf(stream)).streamClosed)
  })

  it("are fenced off by a later epoch, and may claim the next one if they are set to", async () => {
    const stream = await DurableStream.create({
      url: target.url("fenced"),
      contentType: "application/json",
      warnOnHttp: false
    })
    const zombie = new IdempotentProducer(stream, "worker", { epoch: 3 })
    zombie.append("1")
    await zombie.flush()
    const successor = new IdempotentProducer(stream, "worker", { autoClaim: true })
    successor.append("2")
    await successor.flush()
    assert.strictEqual(successor.epoch, 4)
    await target.crash()
    const fenced = Promise.withResolvers<Error>()
    const late = new IdempotentProducer(stream, "worker", { epoch: 3, onError: fenced.resolve })
    late.append("3")
    assert.strictEqual((await fenced.promise).name, "StaleEpochError")
    assert.deepStrictEqual(await readAll(stream.url), [1, 2])
  })
})
