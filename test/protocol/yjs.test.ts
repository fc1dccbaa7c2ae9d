/**
 * `@durable-streams/y-durable-streams` with `yjs`: its document server keeps updates, snapshots and presence in our
 * streams, on files, and two documents converge through it, even if our server crashes.
 */
import { YjsProvider } from "@durable-streams/y-durable-streams"
import { YjsServer } from "@durable-streams/y-durable-streams/server"
import { afterAll, assert, beforeAll, describe, it, vi } from "vitest"
import { Awareness } from "y-protocols/awareness"
import * as Y from "yjs"
import { until } from "../support/room.ts"
import { Target } from "../support/target.ts"

let target: Target
let documents: YjsServer
let baseUrl: string
beforeAll(async () => {
  // The document server reports every snapshot, and every request that the crash cuts off.
  vi.spyOn(console, "error").mockReturnValue()
  vi.spyOn(console, "log").mockReturnValue()
  target = await Target.start("fs")
  documents = new YjsServer({ port: 0, host: "127.0.0.1", dsServerUrl: target.origin, compactionThreshold: 4_000 })
  baseUrl = `${await documents.start()}/v1/yjs/proof`
})
afterAll(async () => {
  await documents.stop()
  await target.stop()
})

/** A connected document, and its contents. */
const open = async (docId: string, liveMode: "sse" | "long-poll" = "sse") => {
  const doc = new Y.Doc()
  const awareness = new Awareness(doc)
  const provider = new YjsProvider({ doc, baseUrl, docId, awareness, liveMode, connect: false })
  const synced = new Promise<void>((resolve) => provider.on("synced", (isSynced) => isSynced && resolve()))
  await provider.connect()
  await synced
  const text = doc.getText("text")
  return { doc, awareness, provider, text, has: () => text.toString() }
}

type Opened = Awaited<ReturnType<typeof open>>

/** The contents of all documents, once they hold the same and all wanted entries. */
const converged = async (documents: ReadonlyArray<Opened>, ...wanted: ReadonlyArray<string>): Promise<string> => {
  const texts = () => documents.map(({ has }) => has())
  await until(
    () => new Set(texts()).size === 1 && wanted.every((word) => texts()[0]!.includes(word)),
    () => `the same in ${JSON.stringify(texts().map((text) => text.slice(0, 200)))}`
  )
  return texts()[0]!
}

describe("the Yjs provider", () => {
  for (const liveMode of ["sse", "long-poll"] as const) {
    it(`brings two documents together with ${liveMode}`, async () => {
      const all = [await open(`together-${liveMode}`, liveMode), await open(`together-${liveMode}`, liveMode)]
      const [left, right] = all as [Opened, Opened]
      left.text.insert(0, "left ")
      right.text.insert(0, "right ")
      await converged(all, "left ", "right ")
      for (let n = 0; n < 20; n++) (n % 2 === 0 ? left : right).text.insert(0, `<${n}> `)
      assert.lengthOf(await converged(all, "<18> ", "<19> "), "left right ".length + 10 * 4 + 10 * 5)
      for (const { provider } of all) provider.destroy()
    })
  }

  it("gives a late document everything, from a snapshot if there is one", async () => {
    const first = await open("late")
    for (let n = 0; n < 40; n++) {
      first.text.insert(0, `${n} ${"x".repeat(400)} `)
      await until(() => first.provider.synced, () => "the update to be taken")
    }
    const streams = `${target.origin}/v1/stream/yjs/proof/docs/late`
    await until(
      async () => (await (await fetch(`${streams}/.index?offset=-1`)).text()).includes("snapshotOffset"),
      () => "a snapshot"
    )
    const second = await open("late")
    await converged([first, second], "39 xxx")
    second.text.insert(0, "second ")
    assert.match(await converged([first, second], "second "), /^second 39 x/)
    first.provider.destroy()
    second.provider.destroy()
  })

  it("shows the users who are present", async () => {
    const left = await open("present")
    const right = await open("present")
    left.awareness.setLocalStateField("user", "Ada")
    const seen = () => right.awareness.getStates().get(left.doc.clientID)?.["user"]
    await until(() => seen() !== undefined, () => "Ada to be seen")
    assert.strictEqual(seen(), "Ada")
    left.provider.destroy()
    right.provider.destroy()
  })

  it("goes on when the server has crashed", async () => {
    const left = await open("crash", "long-poll")
    left.text.insert(0, "before ")
    const before = await open("crash", "long-poll")
    await converged([left, before], "before ")
    for (const { provider } of [left, before]) provider.destroy()
    await target.crash()
    const all = [await open("crash", "long-poll"), await open("crash", "long-poll")]
    await converged(all, "before ")
    all[0]!.text.insert(0, "after ")
    assert.strictEqual(await converged(all, "before ", "after "), "after before ")
    for (const { provider } of all) provider.destroy()
  })
})
