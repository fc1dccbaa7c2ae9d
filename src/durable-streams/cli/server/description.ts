/**
 * A running server in one line.
 */
import type { Found } from "../../daemon.ts"

export const describe = ({ health, url }: Found): string =>
  `${url} (pid ${health.pid}), storage ${health.storage}, data in ${health.dataDirectory}`
