/**
 * A log of a million small events, appended through our own server, a hundred a request.
 */
import * as Path from "node:path"
import { post } from "./load.ts"
import { startOurs } from "./servers.ts"

export const millionEvents = 1_000_000
const perRequest = 100

/** Fills the stream `million` in the data directory; answers with its log file. */
export const makeMillion = async (directory: string): Promise<string> => {
  const server = await startOurs(directory, ["--durability=os"])
  await post({
    port: server.port,
    path: "/streams/million",
    contentType: "application/x-ndjson",
    body: Array.from({ length: perRequest }, (_, i) => JSON.stringify({ type: "tick", n: 1_000 + i })).join("\n"),
    connections: 4,
    requests: millionEvents / perRequest
  })
  await server.stop()
  return Path.join(directory, "streams", "million.json")
}
