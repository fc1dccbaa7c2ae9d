/**
 * The reference server (`@durable-streams/server`) as a process of its own, so that it is started, measured and killed
 * like ours: `node reference-server.ts [--port=] [--data-dir=] [--long-poll-timeout=<ms>]`. Without a data directory it
 * keeps everything in memory. It prints its address on stderr.
 */
import { DurableStreamTestServer } from "@durable-streams/server"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    "port": { type: "string", default: "0" },
    "data-dir": { type: "string" },
    "long-poll-timeout": { type: "string", default: "30000" }
  }
})

const directory = values["data-dir"]
const server = new DurableStreamTestServer({
  host: "127.0.0.1",
  port: Number(values.port),
  longPollTimeout: Number(values["long-poll-timeout"]),
  webhooks: true,
  ...(directory === undefined ? {} : { dataDir: directory })
})

process.on("SIGTERM", () => process.exit())
process.stderr.write(`${await server.start()}\n`)
