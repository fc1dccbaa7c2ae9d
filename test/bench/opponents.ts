/**
 * Others that are asked for the same appends: the reference server of the protocol, in memory and on files, and of Redis
 * and NATS what is installed.
 */
import { type Contestant, protocol } from "./contestants.ts"
import { nats } from "./nats.ts"
import { redis } from "./redis.ts"
import { type Servers, startNats, startRedis, startReference } from "./servers.ts"

export const opponents = async (servers: Servers): Promise<ReadonlyArray<Contestant>> => [
  protocol("reference, memory", await servers.add(startReference())),
  protocol("reference, files", await servers.add(startReference(servers.directory()))),
  ...await installed(servers, startRedis, redis),
  ...await installed(servers, startNats, nats)
]

const installed = async (
  servers: Servers,
  start: typeof startRedis,
  contestant: typeof redis
): Promise<ReadonlyArray<Contestant>> => {
  const server = await start(servers.directory())
  if (server === undefined) return []
  await servers.add(Promise.resolve(server))
  return [contestant(server)]
}
