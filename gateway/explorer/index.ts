/** A page that shows the OpenAPI document and sends requests from it. */
export { explorerRoutes } from './explorer-routes.js';
