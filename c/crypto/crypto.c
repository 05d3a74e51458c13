/*
 * conc.crypto: what the handshake of connections needs, from libsodium.  A
 * module of its own, so that programs that do not use it load no crypto.
 *
 * Reference: RFC 2104 (HMAC), FIPS 180-4 (SHA-256).
 */

#include <lauxlib.h>
#include <lua.h>
#include <sodium.h>

#include "include/conc.h"

/* hmac(key, text): HMAC-SHA-256, 32 bytes; the key may have any length */
static int hmac(lua_State *L) {
  size_t nkey, ntext;
  crypto_auth_hmacsha256_state state;
  unsigned char out[crypto_auth_hmacsha256_BYTES];
  const char *key = luaL_checklstring(L, 1, &nkey);
  const char *text = luaL_checklstring(L, 2, &ntext);
  crypto_auth_hmacsha256_init(&state, (const unsigned char *)key, nkey);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, ntext);
  crypto_auth_hmacsha256_final(&state, out);
  sodium_memzero(&state, sizeof state);
  lua_pushlstring(L, (const char *)out, sizeof out);
  return 1;
}

/* random(n): n bytes that nobody can guess */
static int random_bytes(lua_State *L) {
  luaL_Buffer b;
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= 1 << 20, 1, "0 to 1048576 bytes");
  char *p = luaL_buffinitsize(L, &b, (size_t)n);
  randombytes_buf(p, (size_t)n);
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

/* equal(a, b): are the strings the same?  Takes as long wherever they differ */
static int equal(lua_State *L) {
  size_t na, nb;
  const char *a = luaL_checklstring(L, 1, &na);
  const char *b = luaL_checklstring(L, 2, &nb);
  lua_pushboolean(L, na == nb && sodium_memcmp(a, b, na) == 0);
  return 1;
}

static const luaL_Reg functions[] = {
  {"hmac", hmac}, {"random", random_bytes}, {"equal", equal}, {NULL, NULL}};

CONC_API int luaopen_conc_crypto(lua_State *L);

CONC_API int luaopen_conc_crypto(lua_State *L) {
  luaL_checkversion(L);
  if (sodium_init() < 0)
    return luaL_error(L, "libsodium cannot be used");
  luaL_newlib(L, functions);
  return 1;
}
