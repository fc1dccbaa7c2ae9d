/**
 * `@durable-streams/state` with `@tanstack/db` against our server on files: collections follow a stream of changes,
 * through a crash of the server.
 */
import { DurableStream } from "@durable-streams/client"
import { createStateSchema, MaterializedState } from "@durable-streams/state"
import { createStreamDB } from "@durable-streams/state/db"
import { Schema } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Target } from "../support/target.ts"
import { backoffOptions, readAll } from "./follow.ts"

let target: Target
beforeAll(async () => {
  target = await Target.start("fs")
})
afterAll(() => target.stop())

const User = Schema.Struct({ id: Schema.String, name: Schema.String })
const Message = Schema.Struct({ id: Schema.String, text: Schema.String, by: Schema.String })

const state = createStateSchema({
  users: { schema: Schema.toStandardSchemaV1(User), type: "user", primaryKey: "id" },
  messages: { schema: Schema.toStandardSchemaV1(Message), type: "message", primaryKey: "id" }
})

/** A stream of changes, a way to write to it that waits for its own transaction, and a collection that follows it. */
const follow = async (name: string, live: "long-poll" | "sse") => {
  const stream = await DurableStream.create({
    url: target.url(name),
    contentType: "application/json",
    warnOnHttp: false
  })
  const db = createStreamDB({
    streamOptions: { url: stream.url, contentType: "application/json", backoffOptions, warnOnHttp: false },
    state,
    live
  })
  let transactions = 0
  return {
    stream,
    db,
    users: () => [...db.collections.users.toArray].map(({ id, name }) => `${id} ${name}`).toSorted(),
    /** Appends the changes, and waits until the collection has the last of them. */
    write: async (...changes: ReadonlyArray<{ readonly headers: object }>) => {
      const txid = `transaction-${++transactions}`
      const seen = db.utils.awaitTxId(txid, 15_000)
      for (const [i, change] of changes.entries()) {
        const headers = i === changes.length - 1 ? { ...change.headers, txid } : change.headers
        await stream.append(JSON.stringify({ ...change, headers }))
      }
      await seen
    }
  }
}

describe("the state client", () => {
  for (const live of ["long-poll", "sse"] as const) {
    it(`has inserts, updates and deletes in its collections with ${live}`, async () => {
      const { db, users, write } = await follow(`state-${live}`, live)
      const { users: user } = state
      await db.preload()
      assert.deepStrictEqual(users(), [])
      await write(user.insert({ value: { id: "1", name: "Ada" } }), user.insert({ value: { id: "2", name: "Bob" } }))
      assert.deepStrictEqual(users(), ["1 Ada", "2 Bob"])
      await write(user.update({ value: { id: "2", name: "Robert" } }))
      assert.deepStrictEqual(users(), ["1 Ada", "2 Robert"])
      await write(user.delete({ key: "1" }), user.upsert({ value: { id: "3", name: "Cleo" } }))
      assert.deepStrictEqual(users(), ["2 Robert", "3 Cleo"])
      await write(state.messages.insert({ value: { id: "m", text: "é 漢 🎈", by: "2" } }))
      assert.strictEqual(db.collections.messages.get("m")?.text, "é 漢 🎈")
      assert.deepStrictEqual(users(), ["2 Robert", "3 Cleo"])
      db.close()
    })
  }

  it("goes on when the server has crashed", async () => {
    const { db, users, write } = await follow("state-crash", "long-poll")
    const { users: user } = state
    await db.preload()
    await write(user.insert({ value: { id: "1", name: "Ada" } }))
    await target.crash()
    await write(user.insert({ value: { id: "2", name: "Bob" } }), user.delete({ key: "1" }))
    assert.deepStrictEqual(users(), ["2 Bob"])
    await target.crash()
    await write(user.update({ value: { id: "2", name: "Robert" } }))
    assert.deepStrictEqual(users(), ["2 Robert"])
    db.close()
  })

  it("catches up with changes from before it came, and knows its place", async () => {
    const { db, stream, users, write } = await follow("state-late", "sse")
    const { users: user } = state
    await db.preload()
    for (let n = 0; n < 50; n++) await write(user.upsert({ value: { id: String(n % 5), name: `name ${n}` } }))
    const expected = users()
    const offset = db.offset
    db.close()
    await target.crash()
    const late = createStreamDB({
      streamOptions: { url: stream.url, contentType: "application/json", warnOnHttp: false },
      state
    })
    await late.preload()
    assert.deepStrictEqual(late.collections.users.toArray.map(({ id, name }) => `${id} ${name}`).toSorted(), expected)
    assert.strictEqual(late.offset, offset)
    late.close()
  })

  it("builds the state from messages that it has read, one by one", async () => {
    const { stream } = await follow("state-materialised", "sse")
    const { users: user } = state
    const changes = [
      user.insert({ value: { id: "1", name: "Ada" } }),
      user.insert({ value: { id: "2", name: "Bob" } }),
      user.delete({ key: "1" })
    ]
    for (const change of changes) await stream.append(JSON.stringify(change))
    const materialised = new MaterializedState()
    for (const change of await readAll<(typeof changes)[number]>(stream.url)) materialised.apply(change)
    assert.deepStrictEqual([...materialised.getType("user")], [["2", { id: "2", name: "Bob" }]])
  })
})
