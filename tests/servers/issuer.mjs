// A third party's OIDC issuer (oauth2-mock-server) with one more route: `GET /mint?kind=KIND&sub=…&aud=…`
// answers a token of that kind, sound or spoiled in one way.
//
//   node issuer.mjs NODE_MODULES PORT

import { pathToFileURL } from "node:url";

const [modules, port] = process.argv.slice(2);
const { OAuth2Server } = await import(pathToFileURL(`${modules}/oauth2-mock-server/dist/index.mjs`));
const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
await server.start(Number(port), "127.0.0.1");

// What spoils the claims, by kind; times in seconds.
const now = () => Math.floor(Date.now() / 1000);
const spoil = {
  good: () => {},
  expired: (claims) => Object.assign(claims, { iat: now() - 900, nbf: now() - 900, exp: now() - 300 }),
  future: (claims) => Object.assign(claims, { iat: now() + 600, nbf: now() + 600, exp: now() + 900 }),
  "wrong-aud": (claims) => Object.assign(claims, { aud: "https://elsewhere.example" }),
  "wrong-iss": (claims) => Object.assign(claims, { iss: "https://elsewhere.example" }),
  "no-sub": (claims) => delete claims.sub,
  "bad-signature": () => {},
  none: () => {},
};

// What spoils the signed token.
const part = (object) => Buffer.from(JSON.stringify(object)).toString("base64url");
const spoilToken = {
  "bad-signature": ([header, payload, signature]) => [header, payload, signature.split("").reverse().join("")],
  none: ([, payload]) => [part({ alg: "none", typ: "JWT" }), payload, ""],
};

server.service.addRoute("GET", "/mint", async (request, response) => {
  const { kind, sub, aud } = request.query;
  const transform = (header, payload) => {
    Object.assign(payload, { sub, aud, iat: now(), nbf: now() - 5, exp: now() + 300 });
    spoil[kind](payload);
  };
  const token = await server.issuer.buildToken({ scopesOrTransform: transform, expiresIn: 300 });
  response.writeHead(200, { "content-type": "text/plain" });
  response.end((spoilToken[kind] ?? ((parts) => parts))(token.split(".")).join("."));
});
