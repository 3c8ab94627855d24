from tests.stack.conftest import real_data as real_data
