/**
 * System calls that fail or take long, by strace(1).
 */
import * as fs from "node:fs"
import { missing, strace } from "../../support/machine.ts"
import { ask } from "../clients/ask.ts"
import { LoopDisk } from "../crashes/loop-disk.ts"
import type { Case } from "./io.ts"

/** As many as there are threads that flush would share the count: with one, it is known which flush fails. */
const oneThread = { UV_THREADPOOL_SIZE: "1" }

const injecting = (calls: string, what: string, out = "/dev/null") =>
  strace(out, "-e", `trace=${calls}`, "-e", `inject=${calls}:${what}`)

/** How many flushes of a process are made to fail, each in a process of its own, over all rounds. */
const nthAtMost = 20
const nthEachRound = 4

/**
 * The n-th flush fails, in every second process some of those after it, too: not every other one, or each mending would only be
 * followed by the next failure. Where the machine has a disk whose power can be cut, it is: then nothing is left of what was
 * acknowledged without a flush that went well. No append may wait for a flush that is the only one to fail; where more
 * fail, some append has to be told.
 */
export const failedFlush: Case = async ({ random, round, trial }) => {
  const lacking = missing("strace")
  if (lacking !== undefined) return lacking
  const { server } = trial
  const made = await LoopDisk.make(`${server.directory}.img`, server.directory)
  const disk = typeof made === "string" ? undefined : made
  if (typeof made === "string") trial.left.push(`the power was not cut, which ${made}`)
  const inside = disk?.space.wrapper ?? []
  const streams = ["a", "b", "c", "d"]
  const trace = `${server.directory}.strace`
  try {
    for (let i = 0; i < nthEachRound; i++) {
      const nth = 1 + (round * nthEachRound + i) % nthAtMost
      const many = i % 2 === 1
      const when = many ? `${nth}+${random.between(4, 7)}` : `${nth}`
      const before = trial.ledger.operations.length
      const failing = injecting("fdatasync", `error=EIO:when=${when}`, trace)
      await server.start({ env: oneThread, wrapper: [...inside, ...failing] })
      if (i === 0) { for (const stream of streams.slice(0, 2)) trial.follow(stream) }
      const clients = trial.load(streams, random, 250)
      await clients
      const statuses: Array<number> = []
      for (let turn = 0; turn < 12; turn++) statuses.push(await trial.append("a"))
      trial.expect(statuses.every((status) => status === 201 || status === 500), `answered with ${statuses.join(", ")}`)
      trial.expect(statuses.includes(201), `after a flush failed (${when}) nothing is appended any more`)
      // Where more flushes are to fail, that may be one of those that look whether they do.
      await trial.health(...(many ? ["ok", "failing"] as const : ["ok"] as const))
      trial.expect(fs.readFileSync(trace, "utf8").includes("(INJECTED)"), `no flush has failed (${when})`)
      const told = trial.ledger.operations.slice(before).some(({ op, status }) => op === "append" && status === 500)
      trial.expect(told || !many, `no append was told that its flush failed (${when})`)
      disk?.cut()
      await server.kill()
      disk?.unmount()
      disk?.mount()
    }
    await server.start({ wrapper: inside })
    await trial.finish((path) => disk === undefined ? path : disk.space.outside(path))
  } finally {
    await server.kill()
    disk?.close()
  }
  return undefined
}

/** Every few reads fail: who asked is told, and nothing is skipped. */
export const failedRead: Case = async ({ random, trial }) => {
  const lacking = missing("strace")
  if (lacking !== undefined) return lacking
  const { server } = trial
  await server.start()
  await trial.load(["a", "b"], random, 400)
  const whole = await trial.count("a")
  await server.kill()
  const every = random.between(3, 6)
  await server.start({ env: oneThread, wrapper: injecting("pread64", `error=EIO:when=${every}+${every}`) })
  trial.follow("a")
  let told = 0
  for (let turn = 0; turn < 20; turn++) {
    const stream = turn % 2 === 0 ? "a" : "b"
    const answer = await ask(server.port, `/streams/${stream}/events?offset=-1`, {
      headers: { accept: "application/x-ndjson" }
    })
    if (answer === undefined || answer.status === 500) {
      told++
      continue
    }
    const count = answer.text.split("\n").length - 1
    const isWhole = answer.status === 200 && (stream === "b" || count === whole)
    trial.expect(isWhole, `a read was answered with ${answer.status} and ${count} events of ${whole}`)
  }
  trial.expect(told > 0, "no read has failed")
  await server.kill()
  await server.start()
  await trial.finish()
  return undefined
}

/** By which a flush is longer, and what must not be: reads that wait, and flushes that are not shared. */
const slowMillis = 200
const readMillisP90 = 50
const appendsEachSecond = 50

export const slowFlush: Case = async ({ trial }) => {
  const lacking = missing("strace")
  if (lacking !== undefined) return lacking
  const { server } = trial
  await server.start({ wrapper: injecting("fdatasync", `delay_enter=${slowMillis * 1_000}`) })
  await trial.append("a")
  const alone = performance.now()
  await trial.append("a")
  const from = performance.now()
  trial.expect(from - alone >= slowMillis, `alone, an append took ${Math.round(from - alone)} ms: flushes are not slow`)
  const until = from + 3_000
  const clients = Array.from({ length: 64 }, async () => {
    while (performance.now() < until) await trial.append("a")
  })
  const looks: Array<number> = []
  while (performance.now() < until) {
    const asked = performance.now()
    await ask(server.port, looks.length % 2 === 0 ? "/health" : "/streams/a/events?tail=1")
    looks.push(performance.now() - asked)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await Promise.all(clients)
  const p90 = looks.toSorted((one, other) => one - other)[Math.floor(looks.length * 0.9)]!
  trial.expect(p90 <= readMillisP90, `while flushes are slow, one look in ten takes ${Math.round(p90)} ms`)
  const rate = trial.acknowledged("a") / (performance.now() - from) * 1_000
  trial.expect(rate >= appendsEachSecond, `${Math.round(rate)} appends a second, so that flushes are not shared`)
  await trial.finish()
  return undefined
}
