/**
 * Reading from the reference server and from ours: a million messages from the beginning, as many answers as it takes,
 * and a thousand followers who are sent each message.
 */
import * as http from "node:http"
import { audience, followerCount } from "./follow.ts"
import { post } from "./load.ts"
import { makeStream, type Measured, type Pair, rowsOf, streamPath, turnByTurn } from "./pair.ts"
import type { Row } from "./report.ts"
import type { ServerProcess } from "./servers.ts"

const rounds = 3
const million = 1_000_000
const perRequest = 500

/** Small messages, so that what is done for each of them shows. */
const batch = JSON.stringify(Array.from({ length: perRequest }, (_, i) => ({ type: "tick", n: 1_000 + i })))

/** A million messages through the protocol's catch-up reads; operations are messages. */
export const catchUpAgainst = async (pair: Pair): Promise<ReadonlyArray<Row>> => {
  for (const server of [pair.ours, pair.reference]) {
    await makeStream(server, "million")
    await post({
      port: server.port,
      path: streamPath("million"),
      body: batch,
      connections: 1,
      requests: million / perRequest
    })
  }
  const both = await turnByTurn(pair, rounds, million, async ({ port }) => {
    const messages = await readAll(port, streamPath("million"))
    if (messages !== million) throw new Error(`${messages} messages were read, and not ${million}.`)
  })
  return rowsOf(`catch-up of a million messages, ${pair.name}`, both)
}

/** A thousand followers; operations are deliveries. */
export const fanOutAgainst = async ({ name, ours, reference }: Pair, message: string): Promise<ReadonlyArray<Row>> => {
  const count = followerCount()
  const events = 20
  const path = streamPath("fan-out")
  const follow = async (server: ServerProcess) => {
    await makeStream(server, "fan-out")
    return audience(server, `${path}?offset=-1&live=sse`, path, message, count, events, "event: data\n")
  }
  const sides = { ours: await follow(ours), reference: await follow(reference) }
  await sides.ours.publish(events)
  await sides.reference.publish(events)
  for (let round = 0; round < rounds; round++) {
    await sides.ours.round()
    await sides.reference.round()
  }
  for (const { leave } of Object.values(sides)) leave()
  const figures = ({ micros, millis }: typeof sides.ours): Measured => ({
    micros,
    perSecond: millis.map((each) => count / each * 1_000)
  })
  return rowsOf(`fan-out to ${count} followers, ${name}`, {
    ours: figures(sides.ours),
    reference: figures(sides.reference)
  })
}

/** Reads from the beginning to the tail and counts the messages, which have one `"n"` each. */
const readAll = async (port: number, path: string): Promise<number> => {
  const agent = new http.Agent({ keepAlive: true })
  let messages = 0
  for (let offset = "-1";;) {
    const answer = await read(port, `${path}?offset=${offset}`, agent)
    messages += answer.messages
    offset = String(answer.headers["stream-next-offset"])
    if (answer.headers["stream-up-to-date"] === "true") break
  }
  agent.destroy()
  return messages
}

interface Read {
  readonly headers: http.IncomingHttpHeaders
  readonly messages: number
}

const read = (port: number, path: string, agent: http.Agent): Promise<Read> =>
  new Promise((resolve, reject) => {
    const request = http.get({ host: "127.0.0.1", port, path, agent, timeout: 30_000 }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`${path} answered ${response.statusCode}.`))
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("end", () => resolve({ headers: response.headers, messages: count(Buffer.concat(chunks)) }))
    })
    request.on("timeout", () => request.destroy(new Error(`${path} was silent for 30 s.`)))
    request.on("error", reject)
  })

const count = (body: Buffer): number => {
  let found = 0
  for (let at = body.indexOf(mark); at >= 0; at = body.indexOf(mark, at + mark.length)) found++
  return found
}

const mark = Buffer.from(`"n":`)
