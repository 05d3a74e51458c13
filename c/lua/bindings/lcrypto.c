/* core.crypto: see ipc/crypto.h.  Each function raises without libsodium. */

#include "ipc/crypto.h"

#include "lua/types.h"

static const conc_crypto *need(lua_State *L) {
  const conc_crypto *c;
  apr_status_t st = conc_crypto_get(&c);
  if (st == APR_EDSOOPEN)
    lc_error(L, "authkey: needs libsodium, which is not installed");
  else if (st != APR_SUCCESS)
    lc_fail(L, st);
  return c;
}

static conc_bytes check(lua_State *L, int arg) {
  conc_bytes b;
  b.p = luaL_checklstring(L, arg, &b.size);
  return b;
}

/* hmac(key, text): HMAC-SHA-256, 32 bytes; the key may have any length */
static int hmac(lua_State *L) {
  unsigned char digest[CONC_DIGEST_SIZE];
  conc_crypto_hmac(need(L), check(L, 1), check(L, 2), digest);
  lua_pushlstring(L, (const char *)digest, sizeof digest);
  return 1;
}

/* random(n): n bytes that nobody can guess */
static int random_bytes(lua_State *L) {
  luaL_Buffer b;
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= 1 << 20, 1, "n: 0 to 1048576 bytes");
  const conc_crypto *c = need(L);
  char *p = luaL_buffinitsize(L, &b, (size_t)n);
  conc_crypto_random(c, p, (size_t)n);
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

/* equal(a, b): are the strings the same?  It takes as long wherever they
   differ. */
static int equal(lua_State *L) {
  lua_pushboolean(L, conc_crypto_equal(need(L), check(L, 1), check(L, 2)));
  return 1;
}

/* usable(): true, or it raises */
static int usable(lua_State *L) {
  need(L);
  lua_pushboolean(L, 1);
  return 1;
}

const luaL_Reg lc_crypto_functions[] = {{"hmac", hmac},
                                        {"random", random_bytes},
                                        {"equal", equal},
                                        {"usable", usable},
                                        {NULL, NULL}};
