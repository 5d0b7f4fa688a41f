/** Swagger UI for the OpenAPI document. */
export { explorerRoutes } from './explorer-routes.js';
