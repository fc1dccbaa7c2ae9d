/**
 * The reference server of the protocol (`@durable-streams/server`) and ours, the same requests to both, each a process of
 * its own, turn by turn in the same run: in memory, on files as the kernel has them, and on files that are flushed. The
 * reference flushes its files before it answers.
 */
import { catchUpAgainst, fanOutAgainst } from "./against-reads.ts"
import { post } from "./load.ts"
import { makeAnew, makeStream, type Pair, rowsOf, streamPath, turnByTurn } from "./pair.ts"
import type { Bench, Row } from "./report.ts"
import { removeDirectory, startOurs, startReference, temporaryDirectory } from "./servers.ts"

const rounds = 5

/** About 100 bytes, as a chat or a build log has them. */
const message = JSON.stringify({
  type: "message",
  text: "The tests are green, and the build took 12.3 seconds on two cores.",
  n: 1_000_000
})
const batch = `[${Array.from({ length: 100 }, () => message).join(",")}]`

export const against: Bench = {
  name: "against",
  about:
    `The reference server (baseline) and ours, up to ${rounds} rounds. Messages have ${message.length} bytes; a batch has 100. ` +
    "Memory against memory; files in the kernel's hands (os) and flushed files (fsync) against the reference's files, " +
    "which are flushed.",
  run: async () => {
    const directories = [temporaryDirectory(), temporaryDirectory(), temporaryDirectory()] as const
    const memory = await startOurs(temporaryDirectory(), ["--storage=memory"])
    const os = await startOurs(directories[0], ["--durability=os"])
    const fsync = await startOurs(directories[1], ["--durability=fsync"])
    const referenceMemory = await startReference()
    const referenceFiles = await startReference(directories[2])
    const pairs: ReadonlyArray<Pair> = [
      { name: "memory", ours: memory, reference: referenceMemory },
      { name: "os", ours: os, reference: referenceFiles },
      { name: "fsync", ours: fsync, reference: referenceFiles }
    ]
    const servers = [memory, os, fsync, referenceMemory, referenceFiles]
    const rows: Array<Row> = []
    for (const { connections, messages, name, requests } of loads) {
      for (const server of servers) await makeStream(server, name)
      for (const pair of pairs) {
        const inMemory = pair.name === "memory"
        const many = connections === 32 && !inMemory ? 64 : connections
        rows.push(...await appends(pair, name, many, inMemory ? requests * 8 : requests, messages))
      }
    }
    for (const pair of pairs.filter(({ name }) => name !== "fsync")) rows.push(...await catchUpAgainst(pair))
    for (const pair of pairs.filter(({ name }) => name !== "fsync")) rows.push(...await fanOutAgainst(pair, message))
    await Promise.all(servers.map((server) => server.stop()))
    for (const directory of directories) removeDirectory(directory)
    return rows
  }
}

/** Sized so that a round of the slower side takes about a second on files; eight times as many in memory. */
const loads = [
  { name: "append", connections: 1, requests: 1_000, messages: 1 },
  { name: "appends", connections: 32, requests: 2_000, messages: 1 },
  { name: "batches", connections: 8, requests: 200, messages: 100 }
] as const

/** The same appends to both; operations are messages. */
const appends = async (
  pair: Pair,
  stream: string,
  connections: number,
  requests: number,
  messages: number
): Promise<ReadonlyArray<Row>> => {
  const body = messages === 1 ? message : batch
  const both = await turnByTurn(
    pair,
    rounds,
    requests * messages,
    ({ port }) => post({ port, path: streamPath(stream), body, connections, requests }),
    pair.name === "memory" ? 1 : 5,
    (server) => makeAnew(server, stream)
  )
  const what = messages === 1 ? "append" : `append ${messages} at once`
  return rowsOf(`${what}, ${connections === 1 ? "1 connection" : `${connections} connections`}, ${pair.name}`, both)
}
