/**
 * The coordinator's API: the gRPC service (`service.ts`), its server (`server.ts`) and the small HTTP server
 * (`http.ts`). Reads the core's state and hands it inputs; decides nothing.
 */
export { startApi, type ApiServer } from './server.js';
export { startHttp, type HttpServer, type Readiness } from './http.js';
export type { Leader, Subscriber } from './leader.js';
