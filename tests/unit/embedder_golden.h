/* embedder_golden.h: written by tests/python/embedder_reference.py golden; digests are FNV-1a of 384 f32. */
/* clang-format off */
static const struct { const char *text; uint64_t digest; } golden_texts[] = {
    {"", 0x6ab05ef9aa8b9b25u},
    {"the", 0x239275ef35b6cff1u},
    {"hawk", 0x7a3559ef76f1cf95u},
    {"a bird of prey", 0x1fdbba6d33da66cbu},
    {"Hawk hawk HAWK", 0x7ae4a3d88cfc4ef5u},
    {"to be or not to be", 0x827dca318c657939u},
    {"   \011\012.,;!", 0x6ab05ef9aa8b9b25u},
    {"caf\303\251 cafe\314\201 CAF\303\211", 0xd3d9fe26c87c82f5u},
    {"Stra\303\237e STRASSE \357\254\202ie\303\237en", 0x2584ed58eae6dc44u},
    {"\320\237\321\200\320\270\320\262\320\265\321\202, \320\274\320\270\321\200! \321\221\320\273\320\272\320\260", 0x60115e588435b845u},
    {"\316\221\316\270\316\256\316\275\316\261 \316\237\316\224\316\237\316\243", 0x35681e11cdab53a9u},
    {"\346\235\261\344\272\254\343\202\277\343\203\257\343\203\274\343\201\257\351\253\230\343\201\204", 0xc7ca2e18717e8705u},
    {"\355\225\234\352\265\255\354\226\264 \355\205\215\354\212\244\355\212\270", 0x5f8338d5bbf843e5u},
    {"\357\274\241\357\274\242\357\274\243\357\274\221\357\274\222 \342\205\253 m\302\262 \302\275", 0xaf3894eadcf2c8f1u},
    {"\340\244\225\340\245\215\340\244\267\340\244\244\340\245\215\340\244\260\340\244\277\340\244\257 \340\244\251", 0x3a8f5491852209adu},
    {"\330\247\331\204\330\271\330\261\330\250\331\212\330\251 \330\243\331\207\331\204\330\247\331\213", 0x92db8e8b6a4e3091u},
    {"\360\237\230\200 \360\237\232\200 launch", 0x6a89375cde5f26a9u},
    {"port 8080 of 10.0.0.1 and fe80::1: 404, 3.14, 1,024, 123456", 0xd11baf4377c84004u},
    {"550e8400-e29b-41d4-a716-446655440000 deadbeef0", 0xff743050fdc99ce5u},
    {"00:1b:44:11:3a:b7 0xDEADBEEF 12:30:45 e3b0c44 1.2.3.4.5 256.1.1.1", 0xca0e1220078e10b9u},
    {"utf8 x86_64 sha256sum blk_38865 v1.2.3", 0x2226cf2b3f5476b9u},
    {"dead::beef add::face 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:9 ::1 abcdef1\303\251", 0xdbcee88c7045a39cu},
    {"soft\302\255hyphen zero\342\200\213width", 0x86ebf23d7b97791du},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0x5c9b5a74a4ae65d9u},
    {"012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789", 0x91c2183d918e6e7du},
    {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251", 0xa6a4e0f01a444667u},
    {"ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1ab1", 0xa76d18c1627d02f1u},
    {"the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox the quick brown fox ", 0xc4bb3b170daf7192u},
    {"\360\240\200\200\360\252\233\226 \343\200\207\343\200\207", 0x2f6972e9d6bbe195u},
};
#define GOLDEN_RANDOM_COUNT 2000
#define GOLDEN_RANDOM_DIGEST 0xebdf887924ca92d2u
static const struct { uint32_t first, last; uint64_t digest; } golden_classes[] = {
    {0x0, 0x80, 0xbca52b57384660d2u},
    {0x80, 0x600, 0xcc57e089aa2dd1a6u},
    {0x600, 0x2000, 0xd2c8dcf2aa9f89c4u},
    {0x2000, 0x10000, 0x936c02bfde97439au},
    {0x10000, 0x110000, 0x726a069826ed389bu},
};
/* clang-format on */
