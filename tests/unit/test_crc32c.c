/* test_crc32c.c: known values, and the instruction against the table at every length, alignment and split. */
#include "base/crc32c.h"

#include "base/hash.h"
#include "cmocka_all.h"

static void known_values(void **state) {
    (void)state;
    assert_int_equal(ht_crc32c(0, "", 0), 0);
    assert_int_equal(ht_crc32c(0, NULL, 0), 0);
    assert_int_equal(ht_crc32c(0, "123456789", 9), 0xe3069283); /* the check value of the polynomial */
    unsigned char bytes[32] = {0};
    assert_int_equal(ht_crc32c(0, bytes, 32), 0x8a9136aa); /* RFC 3720, B.4 */
    for (int i = 0; i < 32; i++)
        bytes[i] = 0xff;
    assert_int_equal(ht_crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(ht_crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(ht_crc32c_table(0, bytes, 32), 0x46dd794e);
}

static unsigned char data[40000];

static void both_ways_agree(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)ht_mix64(i + 1);
    for (size_t length = 0; length < 2500; length++) {
        const unsigned char *p = data + length % 17;
        assert_int_equal(ht_crc32c((uint32_t)length, p, length), ht_crc32c_table((uint32_t)length, p, length));
    }
    for (size_t length = 6000; length < sizeof data - 16; length += 997)
        assert_int_equal(ht_crc32c(0, data + length % 9, length), ht_crc32c_table(0, data + length % 9, length));
}

static void it_goes_on_where_it_stopped(void **state) {
    (void)state;
    uint32_t whole = ht_crc32c(0, data, 20000);
    for (size_t cut = 0; cut <= 20000; cut += 37)
        assert_int_equal(ht_crc32c(ht_crc32c(0, data, cut), data + cut, 20000 - cut), whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(both_ways_agree),
        cmocka_unit_test(it_goes_on_where_it_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
